// Command moggyd is the daemon: it stands in front of a mail server, is slow to
// let strangers in, and carries everybody it knows.
//
//	moggyd [-c FILE] [-t]
//
// See moggyd(8) and moggy.toml(5).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"moggy/cmd/internal/config"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) }

// run is main with everything that it touches as arguments. It returns the exit
// status: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("moggyd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("c", "", "read the configuration from `FILE` (default "+config.SystemFile+" if it exists, else built-in defaults)")
	test := flags.Bool("t", false, "check the configuration and exit")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: moggyd [-c FILE] [-t]")
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "See moggyd(8). The operator's tool is moggy.")
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "moggyd: %q is not understood; the flags are -c FILE and -t (the operator's tool is moggy)\n", flags.Arg(0))
		return 2
	}
	cfg, err := load(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	if *test {
		return 0
	}
	if err := serve(ctx, *file, cfg, stderr); err != nil {
		fmt.Fprintln(stderr, "moggyd:", err)
		return 1
	}
	return 0
}

// load reads the file that -c names, or the default one, or none.
func load(flagged string) (*config.Config, error) {
	path, ok := config.Find(flagged)
	if !ok {
		return config.Default(), nil
	}
	return config.Load(path)
}

// serve opens the house, lives in it until a signal says otherwise, and closes it.
func serve(ctx context.Context, file string, cfg *config.Config, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	queue := newLogQueue(stderr)
	defer queue.Close()
	log := slog.New(slog.NewTextHandler(queue, &slog.HandlerOptions{Level: level}))
	h, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer h.close()
	h.readFrom(file)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	h.wait.Go(func() { h.reloads(ctx, file, level, hup) })
	return h.serve(ctx)
}
