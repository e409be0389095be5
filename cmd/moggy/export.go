package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/firewall"
)

func (t *tool) exportVerb() *cli.Command {
	formats := strings.Join(firewall.Formats(), ", ")
	return &cli.Command{Name: "export", Usage: "who is known to be good, for a firewall or a mail server", ArgsUsage: "[--format FORMAT] [-o FILE]", Action: t.export,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "as `FORMAT`: " + formats + "; or nft:inet guard, for a table of yours"},
			&cli.StringFlag{Name: "o", Usage: "into `FILE`, which is replaced in one step"},
		}}
}

// export writes all networks that are known to be good.
func (t *tool) export(c *cli.Context) error {
	format, file := c.String("format"), c.String("o")
	if format == "" && !t.json {
		return fmt.Errorf("--format is missing; give one of %s", strings.Join(firewall.Formats(), ", "))
	}
	if err := writable(format); err != nil {
		return err
	}
	var good desk.GoodList
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		good, err = d.Good(ctx, desk.GoodFilter{})
		return err
	})
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return firewall.Export(w, format, slices.Values(good.Nets)) }
	if t.json {
		return t.writeJSON(good)
	}
	if file == "" {
		return write(t.out)
	}
	return replace(file, write)
}

// writable says no to a format that there is not, before anybody is asked.
func writable(format string) error {
	if format == "" {
		return nil
	}
	return firewall.Export(io.Discard, format, slices.Values[[]netip.Prefix](nil))
}

// replace writes a file anew, in one step: who reads it finds the old or the new one.
func replace(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".moggy")
	if err != nil {
		return fmt.Errorf("writing %s: %w; name a file with -o that can be written", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	buffered := bufio.NewWriter(f)
	if err := errors.Join(write(buffered), buffered.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
