package resolver

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

func TestFailover(t *testing.T) {
	for _, tt := range []struct {
		name  string
		does  []exchange
		want  string
		took  time.Duration
		asked string
	}{
		{"the first", []exchange{says(one, 0, 20*ms), says(two, 0, 0)}, one, 20 * ms, "[1 a.test]"},
		{"servfail", []exchange{fails(ServerFailure, 5*ms), says(two, 0, 5*ms)}, two, 10 * ms, "[1 a.test 2 a.test]"},
		{"refused", []exchange{fails(Refused, 5*ms), says(two, 0, 5*ms)}, two, 10 * ms, "[1 a.test 2 a.test]"},
		{"nobody there", []exchange{fails(Unreachable, 0), says(two, 0, 5*ms)}, two, 5 * ms, "[1 a.test 2 a.test]"},
		{"silence", []exchange{silent, says(two, 0, 5*ms)}, two, 105 * ms, "[1 a.test 2 a.test]"},
		{"slow, and yet first", []exchange{says(one, 0, 120*ms), says(two, 0, 50*ms)}, one, 120 * ms, "[1 a.test 2 a.test]"},
		{"slow, and the other fails", []exchange{says(one, 0, 120*ms), fails(Refused, 5*ms)}, one, 120 * ms, "[1 a.test 2 a.test]"},
		{"all fail", []exchange{fails(ServerFailure, 5*ms), fails(ServerFailure, 5*ms), fails(Refused, 5*ms)}, "servfail", 15 * ms, "[1 a.test 2 a.test 3 a.test]"},
		{"all silent", []exchange{silent, silent}, "timeout", 2 * time.Second, "[1 a.test 2 a.test 1 a.test 2 a.test 1 a.test 2 a.test]"},
		{"one silent, one fails", []exchange{silent, fails(ServerFailure, 0)}, "servfail", 2 * time.Second, "[1 a.test 2 a.test 1 a.test 1 a.test]"},
		{"alone and silent", []exchange{silent}, "timeout", 2 * time.Second, "[1 a.test 1 a.test 1 a.test]"},
		{"alone and broken", []exchange{fails(ServerFailure, 0)}, "servfail", 0, "[1 a.test]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := play(t, Options{}, tt.does...)
				defer r.Close()
				if took := wants(t, r, "a.test", tt.want); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if got := fmt.Sprint(s.take()); got != tt.asked {
					t.Errorf("asked %s, want %s", got, tt.asked)
				}
				if n := len(r.gate); n != 0 {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}

// A packet is lost: the same server is asked again.
func TestLostPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, silent)
		defer r.Close()
		time.AfterFunc(50*ms, func() { s.set(1, says(one, 0, 5*ms)) })
		if took := wants(t, r, "a.test", one); took != 105*ms {
			t.Errorf("took %v", took)
		}
	})
}

func TestFasterServerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, says(one, 0, 50*ms), says(two, 0, 10*ms))
		defer r.Close()
		wants(t, r, "a.test", one) // nobody knows yet
		wants(t, r, "a.test", two)
		for range 10 {
			wants(t, r, "a.test", two)
		}
		s.take()
		s.set(2, says(two, 0, 300*ms)) // it becomes slow
		for range 30 {
			r.A(t.Context(), "a.test")
		}
		if took := wants(t, r, "a.test", one); took != 50*ms {
			t.Errorf("took %v", took)
		}
	})
}

func TestDeadServerIsAskedLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, silent, says(two, 0, 10*ms))
		defer r.Close()
		for range failing {
			wants(t, r, "a.test", two)
		}
		if st := r.Stats().Servers; !st[0].Failing || st[1].Failing {
			t.Fatalf("%+v", st)
		}
		s.take()
		var dead int
		for range 600 { // ten minutes
			pass(time.Second - 10*ms)
			if took := wants(t, r, "a.test", two); took != 10*ms {
				t.Fatalf("took %v though one server is dead", took)
			}
		}
		for _, q := range s.take() {
			if q[0] == '1' {
				dead++
			}
		}
		if dead < 20 || dead > 30 {
			t.Errorf("the dead server was tried %d times in ten minutes", dead)
		}
		s.set(1, says(one, 0, ms))
		for range 32 {
			pass(time.Second)
			r.A(t.Context(), "a.test")
		}
		if st := r.Stats().Servers; st[0].Failing {
			t.Fatalf("%+v", st)
		}
		wants(t, r, "a.test", one) // it is the faster one
	})
}

// Names that nobody can resolve, of which strangers send as many as they like, speak against no server.
func TestBrokenZonesBlameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := play(t, Options{}, fails(ServerFailure, ms), fails(ServerFailure, ms))
		defer r.Close()
		for i := range 20 {
			wants(t, r, fmt.Sprintf("%d.test", i), "servfail")
		}
		for _, s := range r.Stats().Servers {
			if s.Failing || s.Failed != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// A server that cannot do what another one can is asked last.
func TestBrokenServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, fails(ServerFailure, ms), says(two, 0, 10*ms))
		defer r.Close()
		for range failing {
			wants(t, r, "a.test", two)
		}
		s.take()
		wants(t, r, "a.test", two)
		if got := fmt.Sprint(s.take()); got != "[2 a.test]" {
			t.Error(got)
		}
	})
}

func TestSocketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Timeout: 200 * ms}, silent, silent)
		defer r.Close()
		var all sync.WaitGroup
		for i := range 2 * maxSockets {
			all.Go(func() { r.A(t.Context(), fmt.Sprintf("%d.test", i)) })
		}
		synctest.Wait()
		if n := s.count(); n != maxSockets || len(r.gate) != maxSockets {
			t.Errorf("%d asked, %d sockets", n, len(r.gate))
		}
		pass(150 * ms)
		if n := s.count(); n != maxSockets {
			t.Errorf("%d asked though there is no room", n)
		}
		all.Wait()
		for _, st := range r.Stats().Servers {
			if st.Asked > maxSockets {
				t.Errorf("blamed for questions that it was never asked: %+v", st)
			}
		}
	})
}

func TestBusyIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Timeout: 200 * ms}, says(one, time.Minute, ms))
		defer r.Close()
		for range maxSockets {
			r.gate <- struct{}{}
		}
		if took := wants(t, r, "a.test", "busy"); took != 200*ms {
			t.Errorf("took %v", took)
		}
		for range maxSockets {
			<-r.gate
		}
		wants(t, r, "a.test", one)
		s.asks(t, 1)
	})
}
