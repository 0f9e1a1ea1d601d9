// Command buildkit answers questions about Dockerfiles with BuildKit's own packages.
//
// It reads one JSON request a line and writes one JSON answer a line, so that a test run starts it once.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
)

// Request holds the fields of every kind of question; Op says which are used.
type Request struct {
	Op       string                     `json:"op"`
	Text     string                     `json:"text"`
	Escape   string                     `json:"escape"`
	Env      map[string]string          `json:"env"`
	Raw      bool                       `json:"raw"`
	Patterns []string                   `json:"patterns"`
	Paths    []string                   `json:"paths"`
	Mode     uint32                     `json:"mode"`
	IsDir    bool                       `json:"is_dir"`
	Args     map[string]string          `json:"args"`
	Target   string                     `json:"target"`
	Images   map[string]json.RawMessage `json:"images"`
}

var operations = map[string]func(Request) (any, error){
	"parse":      parse,
	"word":       word,
	"ignore":     ignore,
	"ignorefile": ignoreFile,
	"glob":       glob,
	"mode":       applyMode,
	"convert":    convert,
}

func answer(line []byte) (result any) {
	defer func() {
		if reason := recover(); reason != nil {
			result = map[string]any{"panic": fmt.Sprint(reason) + "\n" + string(debug.Stack())}
		}
	}()
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
