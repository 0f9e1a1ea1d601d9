package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/appcontext"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// images answers for base images from the request instead of a registry.
type images map[string]json.RawMessage

func (i images) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, known := i[ref]
	if !known {
		return "", "", nil, fmt.Errorf("no image %s", ref)
	}
	return ref, digest.FromBytes(config), config, nil
}

type warning struct {
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Line    int    `json:"line"`
}

// convert runs the whole frontend short of building.
func convert(request Request) (any, error) {
	platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	capabilities := pb.Caps.CapSet(pb.Caps.All())
	warnings := []warning{}
	result, err := dockerfile2llb.Dockerfile2LLB(appcontext.Context(), []byte(request.Text), dockerfile2llb.ConvertOpt{
		Config:         dockerui.Config{BuildArgs: request.Args, Target: request.Target},
		MetaResolver:   images(request.Images),
		TargetPlatform: &platform,
		LLBCaps:        &capabilities,
		Warn: func(rule, _, _, message string, location []parser.Range) {
			line := 0
			if len(location) > 0 {
				line = location[0].Start.Line
			}
			warnings = append(warnings, warning{rule, message, line})
		},
	})
	if err != nil {
		return nil, err
	}
	operations, err := steps(result.State)
	if err != nil {
		return nil, err
	}
	var epoch any
	if result.Epoch != nil {
		epoch = result.Epoch.Unix()
	}
	return map[string]any{
		"epoch": epoch,
		"steps": operations, "config": result.Image.Config, "history": result.Image.History, "author": result.Image.Author, "warnings": warnings,
	}, nil
}
