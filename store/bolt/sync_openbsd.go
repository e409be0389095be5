package bolt

import "os"

// syncFile forces the file to the disk. bbolt commits by msync there, which does
// not reach what it wrote by pwrite. A power cut between bbolt's last write and
// this call may still find pages in any order on the disk.
func syncFile(f *os.File) error { return f.Sync() }
