package redis

import (
	"context"
	"fmt"
	"testing"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// BenchmarkExchange is one exchange of so many budgets; 2,048 is the most that a
// budget.Fleet makes of them.
func BenchmarkExchange(b *testing.B) {
	s := openAt(b, Options{URL: start(b).url("b"), patience: calm})
	must(b, s.Sync())
	for _, n := range []int{1, 100, 2048} {
		uses := make([]Use, n)
		for i := range uses {
			uses[i] = Use{Key: budget.Key{Class: whitelist.Pool, Origin: fmt.Sprint("d", i, ".example")}, Limit: peerLimit, Tokens: 1, Open: 1}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				_, err := s.Exchange(context.Background(), uses, time.Minute)
				must(b, err)
			}
		})
	}
}
