//go:build !openbsd

package bolt

import "os"

// syncFile has nothing to do: bbolt has synced the file.
func syncFile(*os.File) error { return nil }
