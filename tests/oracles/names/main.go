// Command names answers questions about names in registries with the packages that everybody else uses.
//
// It reads one JSON request a line and writes one JSON answer a line, so that a test run starts it once.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
)

// Request holds the fields of every kind of question; Op says which are used.
type Request struct {
	Op         string           `json:"op"`
	Text       string           `json:"text"`
	Headers    []string         `json:"headers"`
	Platforms  []specs.Platform `json:"platforms"`
	Keys       [][]string       `json:"keys"`
	Repository string           `json:"repository"`
}

func parseReference(request Request) (any, error) {
	named, err := reference.ParseNormalizedNamed(request.Text)
	if err != nil {
		return nil, err
	}
	answer := map[string]string{
		"registry": reference.Domain(named),
		"path":     reference.Path(named),
		"familiar": reference.FamiliarString(named),
	}
	if tagged, ok := named.(reference.Tagged); ok {
		answer["tag"] = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		answer["digest"] = digested.Digest().String()
	}
	return answer, nil
}

func parseDigest(request Request) (any, error) {
	parsed, err := digest.Parse(request.Text)
	return parsed.String(), err
}

func shown(platform specs.Platform) []string {
	return []string{platform.OS, platform.Architecture, platform.Variant}
}

func normalizePlatforms(request Request) (any, error) {
	normal := [][]string{}
	for _, platform := range request.Platforms {
		normal = append(normal, shown(platforms.Normalize(platform)))
	}
	return normal, nil
}

// choosePlatform returns which of the other platforms suits the first best; -1 if none does.
func choosePlatform(request Request) (any, error) {
	matcher := platforms.Only(request.Platforms[0])
	best := -1
	for number, platform := range request.Platforms[1:] {
		if matcher.Match(platform) && (best < 0 || matcher.Less(platform, request.Platforms[1+best])) {
			best = number
		}
	}
	return best, nil
}

func parseChallenges(request Request) (any, error) {
	found := []any{}
	schemes := map[auth.AuthenticationScheme]string{
		auth.BasicAuth: "basic", auth.DigestAuth: "digest", auth.BearerAuth: "bearer",
	}
	for _, challenge := range auth.ParseAuthHeader(http.Header{"Www-Authenticate": request.Headers}) {
		found = append(found, []any{schemes[challenge.Scheme], challenge.Parameters})
	}
	return found, nil
}

// findCredentials returns the keys of pull secrets that suit a repository, in the order in which they are tried.
func findCredentials(request Request) (any, error) {
	keyring := &credentialprovider.BasicDockerKeyring{}
	for number, secret := range request.Keys {
		config := credentialprovider.DockerConfig{}
		for _, key := range secret {
			config[key] = credentialprovider.DockerConfigEntry{Username: fmt.Sprintf("%d %s", number, key)}
		}
		keyring.Add(nil, config)
	}
	users := []string{}
	found, _ := keyring.Lookup(request.Repository)
	for _, credential := range found {
		users = append(users, credential.Username)
	}
	return users, nil
}

var operations = map[string]func(Request) (any, error){
	"reference":   parseReference,
	"digest":      parseDigest,
	"normalize":   normalizePlatforms,
	"choose":      choosePlatform,
	"challenges":  parseChallenges,
	"credentials": findCredentials,
}

func answer(line []byte) any {
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return map[string]any{"panic": err.Error()}
	}
	operation, known := operations[request.Op]
	if !known {
		return map[string]any{"panic": "unknown operation " + request.Op}
	}
	value, err := operation(request)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"ok": value}
}

func main() {
	reader := bufio.NewReaderSize(os.Stdin, 1<<20)
	encoder := json.NewEncoder(os.Stdout)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		if err := encoder.Encode(answer(line)); err != nil {
			os.Exit(1)
		}
	}
}
