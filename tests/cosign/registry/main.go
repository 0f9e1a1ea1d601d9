// Registry is go-containerregistry's registry in memory, with the Referrers API (distribution-spec 1.1).
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// manifest is what a list of referrers tells of one.
type manifest struct {
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Subject      struct {
		Digest string `json:"digest"`
	} `json:"subject"`
}

// asSpecified answers as the specification wants it where go-containerregistry does not: a pushed manifest that has a
// subject is told so, and a list of referrers has their own types and annotations.
func asSpecified(next http.Handler) http.Handler {
	var pushed sync.Map // digest -> manifest
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		switch {
		case request.Method == http.MethodPut && strings.Contains(request.URL.Path, "/manifests/"):
			body, err := io.ReadAll(request.Body)
			if err != nil {
				return
			}
			request.Body = io.NopCloser(bytes.NewReader(body))
			var document manifest
			if json.Unmarshal(body, &document) == nil && document.Subject.Digest != "" {
				pushed.Store(fmt.Sprintf("sha256:%x", sha256.Sum256(body)), document)
				answer.Header().Set("OCI-Subject", document.Subject.Digest)
			}
		case request.Method == http.MethodGet && strings.Contains(request.URL.Path, "/referrers/"):
			recorded := httptest.NewRecorder()
			next.ServeHTTP(recorded, request)
			content := recorded.Body.Bytes()
			var list v1.IndexManifest
			if recorded.Code == http.StatusOK && json.Unmarshal(content, &list) == nil {
				for i := range list.Manifests {
					if found, is := pushed.Load(list.Manifests[i].Digest.String()); is {
						described := found.(manifest)
						if described.ArtifactType != "" {
							list.Manifests[i].ArtifactType = described.ArtifactType
						}
						list.Manifests[i].Annotations = described.Annotations
					}
				}
				content, _ = json.Marshal(&list)
			}
			answer.Header().Set("Content-Type", recorded.Header().Get("Content-Type"))
			answer.WriteHeader(recorded.Code)
			answer.Write(content)
			return
		}
		next.ServeHTTP(answer, request)
	})
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	log.Fatal(http.Serve(listener, asSpecified(registry.New(registry.WithReferrersSupport(true), quiet))))
}
