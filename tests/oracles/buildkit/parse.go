package main

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

type heredoc struct {
	Name   string `json:"name"`
	Body   string `json:"body"`
	Expand bool   `json:"expand"`
	Chomp  bool   `json:"chomp"`
	Fd     uint   `json:"fd"`
}

type node struct {
	Value    string    `json:"value"`
	Flags    []string  `json:"flags"`
	Args     []string  `json:"args"`
	JSON     bool      `json:"json"`
	Heredocs []heredoc `json:"heredocs"`
	Original string    `json:"original"`
	Start    int       `json:"start"`
	End      int       `json:"end"`
	Comments []string  `json:"comments"`
}

func describe(n *parser.Node) node {
	out := node{
		Value: n.Value, Flags: n.Flags, JSON: n.Attributes["json"], Original: n.Original,
		Start: n.StartLine, End: n.EndLine, Comments: n.PrevComment,
	}
	for arg := n.Next; arg != nil; arg = arg.Next {
		if len(arg.Children) > 0 {
			child := describe(arg.Children[0])
			out.Args = append(out.Args, child.Value)
			out.Args = append(out.Args, child.Args...)
			continue
		}
		out.Args = append(out.Args, arg.Value)
	}
	for _, doc := range n.Heredocs {
		out.Heredocs = append(out.Heredocs, heredoc{doc.Name, doc.Content, doc.Expand, doc.Chomp, doc.FileDescriptor})
	}
	return out
}

// parse returns the syntax tree, and the error of the second stage apart from it.
func parse(request Request) (any, error) {
	parsed, err := parser.Parse(strings.NewReader(request.Text))
	if err != nil {
		return nil, err
	}
	nodes := []node{}
	for _, child := range parsed.AST.Children {
		nodes = append(nodes, describe(child))
	}
	second := ""
	if _, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{})); err != nil {
		second = err.Error()
	}
	return map[string]any{
		"nodes": nodes, "escape": string(parsed.EscapeToken), "warnings": len(parsed.Warnings), "instructions": second,
	}, nil
}

type variables map[string]string

func (v variables) Get(name string) (string, bool) {
	value, found := v[name]
	return value, found
}

func (v variables) Keys() []string {
	keys := make([]string, 0, len(v))
	for key := range v {
		keys = append(keys, key)
	}
	return keys
}

func word(request Request) (any, error) {
	lex := shell.NewLex(rune(request.Escape[0]))
	lex.RawQuotes, lex.RawEscapes, lex.SkipUnsetEnv = request.Raw, request.Raw, request.Raw
	result, err := lex.ProcessWordWithMatches(request.Text, variables(request.Env))
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"text": result.Result, "words": result.Words, "matched": result.Matched, "unmatched": result.Unmatched,
	}, nil
}
