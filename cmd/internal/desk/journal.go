package desk

import (
	"os"
	"strings"
)

// journalStatus counts the files of the journal; none where they cannot be seen.
func journalStatus(dir string) JournalStatus {
	s := JournalStatus{Dir: dir}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !strings.HasSuffix(f.Name(), ".jsonl") {
			continue
		}
		s.Files++
		s.Bytes += info.Size()
	}
	return s
}
