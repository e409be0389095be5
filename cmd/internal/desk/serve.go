package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of a request.
const (
	maxRequest = 64 << 10 // bytes
	maxWork    = 30 * time.Second
)

// Serve answers for d on l until ctx ends, and closes l. It returns when all
// that it started has ended.
func Serve(ctx context.Context, l net.Listener, d Desk) error {
	var busy sync.WaitGroup
	mux := handler(d)
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			busy.Add(1)
			defer busy.Done()
			mux.ServeHTTP(w, r)
		}),
		ReadTimeout: 10 * time.Second, WriteTimeout: 2 * maxWork, IdleTimeout: time.Second, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ended); shutDown(srv) })
	err := srv.Serve(l)
	if !stop() {
		<-ended
	}
	busy.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving operators: %w", err)
}

// shutDown lets answers that are under way get out.
func shutDown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
}

// handler has a path for each method of a Desk.
func handler(d Desk) http.Handler {
	mux := http.NewServeMux()
	answer(mux, putEntry, d.PutEntry)
	answer(mux, removeEntry, d.RemoveEntry)
	answer(mux, entries, d.Entries)
	answer(mux, show, d.Show)
	answer(mux, putTrap, d.PutTrap)
	answer(mux, removeTrap, d.RemoveTrap)
	answer(mux, traps, d.Traps)
	answer(mux, grey, d.Grey)
	answer(mux, forget, d.Forget)
	answer(mux, pardon, d.Pardon)
	answer(mux, stuck, d.Stuck)
	answer(mux, evidence, d.Evidence)
	answer(mux, blocked, d.Blocked)
	answer(mux, good, d.Good)
	answer(mux, top, d.Top)
	answer(mux, recordsOf, d.Records)
	answer(mux, try, d.Try)
	answer(mux, dnsLists, d.Lists)
	answer(mux, who, d.Who)
	answer(mux, status, d.Status)
	return mux
}

// A path is the name of a method on the wire.
type path string

const (
	putEntry    path = "/put-entry"
	removeEntry path = "/remove-entry"
	entries     path = "/entries"
	show        path = "/show"
	putTrap     path = "/put-trap"
	removeTrap  path = "/remove-trap"
	traps       path = "/traps"
	grey        path = "/grey"
	forget      path = "/forget"
	pardon      path = "/pardon"
	stuck       path = "/stuck"
	evidence    path = "/evidence"
	blocked     path = "/blocked"
	good        path = "/good"
	top         path = "/top"
	recordsOf   path = "/records"
	try         path = "/try"
	dnsLists    path = "/dns-lists"
	who         path = "/who"
	status      path = "/status"
)

// answer answers requests for p by do. A field that is not known is an error: a
// filter that was not understood must not become a wider one.
func answer[Q, A any](mux *http.ServeMux, p path, do func(context.Context, Q) (A, error)) {
	mux.HandleFunc("POST "+string(p), func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maxWork)
		defer cancel()
		in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		in.DisallowUnknownFields()
		var q Q
		if err := in.Decode(&q); err != nil {
			reply(w, http.StatusBadRequest, &Error{Usage, "moggyd does not understand the question (" + err.Error() + "); are moggy and moggyd of one version?"})
			return
		}
		a, err := do(ctx, q)
		if err != nil {
			reply(w, http.StatusUnprocessableEntity, &Error{KindOf(err), err.Error()})
			return
		}
		reply(w, http.StatusOK, a)
	})
}

// reply writes an answer. Whoever asked may be gone: that is no fault of ours.
func reply(w http.ResponseWriter, code int, a any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(a)
}
