package main

import (
	"context"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
)

type execution struct {
	Kind     string   `json:"kind"`
	Args     []string `json:"args"`
	Env      []string `json:"env"`
	Cwd      string   `json:"cwd"`
	User     string   `json:"user"`
	Network  string   `json:"network"`
	Security string   `json:"security"`
	Mounts   []mount  `json:"mounts"`
	Secrets  []secret `json:"secrets"`
}

type mount struct {
	Type     string `json:"type"`
	Dest     string `json:"dest"`
	Path     string `json:"path"`
	Readonly bool   `json:"readonly"`
	ID       string `json:"id"`
	Sharing  string `json:"sharing"`
	Size     int64  `json:"size"`
	UID      uint32 `json:"uid"`
	GID      uint32 `json:"gid"`
	Mode     uint32 `json:"mode"`
	Optional bool   `json:"optional"`
}

type secret struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Optional bool   `json:"optional"`
}

type transfer struct {
	Kind     string   `json:"kind"`
	Src      string   `json:"src"`
	Dest     string   `json:"dest"`
	Owner    []string `json:"owner"`
	Mode     int32    `json:"mode"`
	ModeText string   `json:"mode_text"`
	Unpack   bool     `json:"unpack"`
	Include  []string `json:"include"`
	Exclude  []string `json:"exclude"`
	Required []string `json:"required"`
}

func describeMount(m *pb.Mount) mount {
	out := mount{Dest: m.Dest, Path: m.Selector, Readonly: m.Readonly}
	switch m.MountType {
	case pb.MountType_BIND:
		out.Type = "bind"
	case pb.MountType_CACHE:
		out.Type, out.ID, out.Sharing = "cache", m.CacheOpt.ID, m.CacheOpt.Sharing.String()
	case pb.MountType_TMPFS:
		out.Type, out.Size = "tmpfs", m.TmpfsOpt.GetSize()
	case pb.MountType_SECRET:
		o := m.SecretOpt
		out.Type, out.ID, out.UID, out.GID, out.Mode, out.Optional = "secret", o.ID, o.Uid, o.Gid, o.Mode, o.Optional
	case pb.MountType_SSH:
		o := m.SSHOpt
		out.Type, out.ID, out.UID, out.GID, out.Mode, out.Optional = "ssh", o.ID, o.Uid, o.Gid, o.Mode, o.Optional
	}
	return out
}

func describeExec(e *pb.ExecOp) execution {
	out := execution{
		Kind: "run", Args: e.Meta.Args, Env: e.Meta.Env, Cwd: e.Meta.Cwd, User: e.Meta.User,
		Network: e.Network.String(), Security: e.Security.String(), Mounts: []mount{}, Secrets: []secret{},
	}
	for _, m := range e.Mounts {
		if m.Dest != pb.RootMount {
			out.Mounts = append(out.Mounts, describeMount(m))
		}
	}
	for _, s := range e.Secretenv {
		out.Secrets = append(out.Secrets, secret{s.ID, s.Name, s.Optional})
	}
	return out
}

func owner(o *pb.ChownOpt) []string {
	if o == nil {
		return nil
	}
	name := func(u *pb.UserOpt) string {
		if u == nil {
			return ""
		}
		if u.GetByName() != nil {
			return u.GetByName().Name
		}
		return "#" + strconv.FormatUint(uint64(u.GetByID()), 10)
	}
	return []string{name(o.User), name(o.Group)}
}

func describeFile(f *pb.FileOp) []any {
	out := []any{}
	for _, action := range f.Actions {
		switch a := action.Action.(type) {
		case *pb.FileAction_Copy:
			c := a.Copy
			out = append(out, transfer{
				Kind: "copy", Src: c.Src, Dest: c.Dest, Owner: owner(c.Owner), Mode: c.Mode, ModeText: c.ModeStr,
				Unpack: c.AttemptUnpackDockerCompatibility, Include: c.IncludePatterns, Exclude: c.ExcludePatterns,
				Required: c.RequiredPaths,
			})
		case *pb.FileAction_Mkdir:
			m := a.Mkdir
			if m.Path != "/cache" {
				out = append(out, transfer{Kind: "mkdir", Dest: m.Path, Owner: owner(m.Owner), Mode: m.Mode})
			}
		case *pb.FileAction_Mkfile:
			out = append(out, map[string]any{"kind": "mkfile", "name": a.Mkfile.Path, "content": string(a.Mkfile.Data), "mode": a.Mkfile.Mode})
		}
	}
	return out
}

// steps lists the operations of a state, each after those that it needs.
func steps(state llb.State) ([]any, error) {
	definition, err := state.Marshal(context.Background(), llb.LinuxAmd64)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, data := range definition.Def {
		var op pb.Op
		if err := op.UnmarshalVT(data); err != nil {
			return nil, err
		}
		switch kind := op.Op.(type) {
		case *pb.Op_Exec:
			out = append(out, describeExec(kind.Exec))
		case *pb.Op_File:
			out = append(out, describeFile(kind.File)...)
		}
	}
	return out, nil
}
