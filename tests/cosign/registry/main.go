// Registry is go-containerregistry's registry in memory, with the Referrers API (distribution-spec 1.1).
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// tellsSubject answers a pushed manifest that has a subject as the specification wants it: go-containerregistry
// lists it, and does not say so.
func tellsSubject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPut && strings.Contains(request.URL.Path, "/manifests/") {
			body, err := io.ReadAll(request.Body)
			if err != nil {
				return
			}
			request.Body = io.NopCloser(bytes.NewReader(body))
			var manifest struct{ Subject struct{ Digest string } }
			if json.Unmarshal(body, &manifest) == nil && manifest.Subject.Digest != "" {
				answer.Header().Set("OCI-Subject", manifest.Subject.Digest)
			}
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
	log.Fatal(http.Serve(listener, tellsSubject(registry.New(registry.WithReferrersSupport(true), quiet))))
}
