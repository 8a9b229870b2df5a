//go:build tools

// Package spicedb pins the SpiceDB server, so that `go build` makes its binary from the module proxy alone.
package spicedb

import _ "github.com/authzed/spicedb/cmd/spicedb"
