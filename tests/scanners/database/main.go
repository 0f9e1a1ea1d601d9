// A database of vulnerabilities for grype that knows one: of a package that a test made up.
//
// usage: database DIRECTORY
package main

import (
	"fmt"
	"os"

	db "github.com/anchore/grype/grype/db/v6"
	"github.com/spf13/afero"
)

const vulnerability = "CVE-2026-4242"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: database DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(directory string) error {
	store, err := db.NewWriter(db.Config{DBDirPath: directory, CacheSizeKiB: 1024})
	if err != nil {
		return err
	}
	known := &db.VulnerabilityHandle{
		Name:     vulnerability,
		Status:   db.VulnerabilityActive,
		Provider: &db.Provider{ID: "debian"},
		BlobValue: &db.VulnerabilityBlob{
			ID:         vulnerability,
			Severities: []db.Severity{{Scheme: db.SeveritySchemeCHMLN, Value: "critical", Rank: 1}},
		},
	}
	if err := store.AddVulnerabilities(known); err != nil {
		return err
	}
	affected := &db.AffectedPackageHandle{
		Vulnerability:   known,
		OperatingSystem: &db.OperatingSystem{Name: "debian", MajorVersion: "12", Codename: "bookworm"},
		Package:         &db.Package{Ecosystem: "deb", Name: "libmade-up"},
		BlobValue: &db.PackageBlob{
			CVEs: []string{vulnerability},
			Ranges: []db.Range{{
				Version: db.Version{Type: "dpkg", Constraint: "< 2.0"},
				Fix:     &db.Fix{Version: "2.0", State: db.FixedStatus},
			}},
		},
	}
	if err := store.AddAffectedPackages(affected); err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	_, err = db.WriteImportMetadata(afero.NewOsFs(), directory, "made by tests")
	return err
}
