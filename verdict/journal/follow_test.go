package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// followed runs Follow in dir; the records come out of the channel.
func followed(ctx context.Context, dir string) (records chan Record, ended chan error) {
	records, ended = make(chan Record, 1_000), make(chan error, 1)
	go func() { ended <- Follow(ctx, dir, func(r Record) { records <- r }) }()
	return records, ended
}

func expect(t *testing.T, records chan Record, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if r := <-records; r.Ref != fmt.Sprintf("%06d", i) {
			t.Fatalf("got %s, want %06d", r.Ref, i)
		}
	}
}

func appendTo(t *testing.T, dir, name, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func rotate(t *testing.T, dir string, second int) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, current), filepath.Join(dir, old(second))); err != nil {
		t.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		write(t, dir, current, lines(0, 5))
		records, ended := followed(ctx, dir)
		synctest.Wait()

		appendTo(t, dir, current, lines(5, 8))
		expect(t, records, 5, 8)

		half := line(8)
		appendTo(t, dir, current, half[:30])
		synctest.Wait()
		appendTo(t, dir, current, half[30:]+"not a record\n"+line(9))
		expect(t, records, 8, 10)

		// Two rotations between two polls, and words after the last look.
		appendTo(t, dir, current, line(10))
		rotate(t, dir, 1)
		appendTo(t, dir, old(1), line(11))
		write(t, dir, current, lines(12, 15))
		rotate(t, dir, 2)
		write(t, dir, current, lines(15, 17))
		expect(t, records, 10, 17)

		// The file is away for a moment.
		rotate(t, dir, 3)
		appendTo(t, dir, old(3), line(17))
		expect(t, records, 17, 18)
		write(t, dir, current, line(18))
		expect(t, records, 18, 19)

		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestFollowWaitsForTheFirst(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		records, ended := followed(ctx, dir)
		synctest.Wait()
		write(t, dir, current, lines(0, 3))
		expect(t, records, 0, 3)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestFollowSurvivesALineTooLong(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		write(t, dir, current, "")
		records, ended := followed(ctx, dir)
		synctest.Wait()
		appendTo(t, dir, current, string(make([]byte, 2*blockSize+7))+"\n"+line(1))
		expect(t, records, 1, 2)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestFollowNowhere(t *testing.T) {
	if err := Follow(t.Context(), filepath.Join(t.TempDir(), "gone"), nil); err == nil {
		t.Error("no error")
	}
}
