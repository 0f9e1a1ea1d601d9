package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	mode "github.com/tonistiigi/dchapes-mode"
)

// ignore judges each path as BuildKit's walk does: from the top down, with the results of its parents.
func ignore(request Request) (any, error) {
	matcher, err := patternmatcher.New(request.Patterns)
	if err != nil {
		return nil, err
	}
	ignored := make([]bool, len(request.Paths))
	for i, path := range request.Paths {
		info := patternmatcher.MatchInfo{}
		parts := strings.Split(path, "/")
		for depth := range parts {
			ignored[i], info, err = matcher.MatchesUsingParentResults(strings.Join(parts[:depth+1], "/"), info)
			if err != nil {
				return nil, err
			}
		}
	}
	return ignored, nil
}

func ignoreFile(request Request) (any, error) {
	return ignorefile.ReadAll(strings.NewReader(request.Text))
}

func glob(request Request) (any, error) {
	matched := make([]bool, len(request.Paths))
	for i, path := range request.Paths {
		var err error
		if matched[i], err = filepath.Match(request.Text, path); err != nil {
			return nil, err
		}
	}
	return matched, nil
}

func applyMode(request Request) (any, error) {
	set, err := mode.Parse(request.Text)
	if err != nil {
		return nil, err
	}
	before := os.FileMode(request.Mode & 0o777)
	for bit, flag := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if request.Mode&bit != 0 {
			before |= flag
		}
	}
	if request.IsDir {
		before |= os.ModeDir
	}
	after := set.Apply(before)
	bits := uint32(after.Perm())
	for bit, flag := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if after&flag != 0 {
			bits |= bit
		}
	}
	return fmt.Sprintf("%o", bits), nil
}
