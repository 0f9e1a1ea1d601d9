//go:build tools

package tools

import (
	_ "github.com/anchore/grype/cmd/grype"
	_ "github.com/anchore/syft/cmd/syft"
)
