package bolt

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
)

// childEnv names the file that the test binary, run as a child, writes to.
const childEnv = "MOGGY_TEST_STORE"

const childFlush = 50 * time.Millisecond

// child writes until it is killed, and says so of each row once it may: what,
// its number, and the time in unix milliseconds.
func child(path string) {
	s, err := Open(Options{Path: path, Flush: childFlush})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if _, err := s.Try(context.Background(), nth(i, epoch())); err != nil {
			os.Exit(1)
		}
		fmt.Println("triplet", i, time.Now().UnixMilli())
		if i%20 != 0 {
			continue
		}
		if err := s.PutEntry(context.Background(), entry(childNet(i))); err != nil {
			os.Exit(1)
		}
		fmt.Println("entry", i, time.Now().UnixMilli())
	}
}

func childNet(i int) string {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32).String()
}

// said is what a child acknowledged: numbers, with the time of it.
type said struct {
	entries, triplets map[int]int64
	last              int64
}

// killed lets a child write for a random while, kills it, and returns what it
// acknowledged.
func killed(t *testing.T, path string) said {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s := said{entries: map[int]int64{}, triplets: map[int]int64{}}
	begun, life := int64(0), int64(1200+rand.IntN(800))
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var what string
		var i int
		var at int64
		if n, _ := fmt.Sscan(lines.Text(), &what, &i, &at); n != 3 {
			continue // the line it died in
		}
		s.last = at
		if what == "entry" {
			s.entries[i] = at
		} else {
			s.triplets[i] = at
		}
		if begun == 0 {
			begun = at
		}
		if at-begun > life {
			cmd.Process.Kill() // and what is in the pipe still counts
		}
	}
	cmd.Wait()
	return s
}

// TestKill9 loses no entry, and no triplet older than many commits.
func TestKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "moggy.db")
			s := killed(t, path)
			begun := time.Now()
			store := openAt(t, Options{Path: path, Flush: time.Hour})
			t.Logf("opened in %v: %d entries, %d triplets acknowledged", time.Since(begun), len(s.entries), len(s.triplets))
			checkKept(t, store, s)
		})
	}
}

func checkKept(t *testing.T, store *Store, s said) {
	kept := nets(t, store)
	for i := range s.entries {
		if !kept[childNet(i)] {
			t.Errorf("entry %d is lost", i)
		}
	}
	old, lost := 0, 0
	for i, at := range s.triplets {
		if at > s.last-time.Second.Milliseconds() {
			continue
		}
		old++
		if r := try(t, store, nth(i, epoch())); r.Outcome != greylist.TooEarly {
			lost++
		}
	}
	if lost > 0 || old == 0 || len(s.entries) == 0 {
		t.Errorf("%d of %d triplets lost", lost, old)
	}
	must(t, store.view(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}))
}
