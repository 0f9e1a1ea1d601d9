// Trust makes a TUF repository the one that policy-controller takes Sigstore's roots from: PROGRAM MIRROR ROOT.
//
// Its webhook does so by its flags --tuf-mirror and --tuf-root, which the program that tries policies lacks.
package main

import (
	"context"
	"log"
	"os"

	"github.com/sigstore/sigstore/pkg/tuf"
)

func main() {
	root, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := tuf.Initialize(context.Background(), os.Args[1], root); err != nil {
		log.Fatal(err)
	}
}
