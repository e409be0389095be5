package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"moggy/verdict/journal"
)

// maxAnswer bounds what a Client reads of one answer: MaxRows of the longest rows.
const maxAnswer = 256 << 20 // bytes

// Client is the Desk of a daemon, reached over its socket. The daemon may come
// and go: every method dials anew.
type Client struct {
	http http.Client
}

// NewClient makes a Client for the socket at path. It does not dial.
func NewClient(path string) *Client {
	return &Client{http.Client{
		Timeout: maxWork + 5*time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, path) }},
	}}
}

var _ Desk = (*Client)(nil)

// ask sends q to p and waits for the answer.
func ask[Q, A any](ctx context.Context, c *Client, p path, q Q) (a A, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("asking moggyd: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://moggyd"+string(p), bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("asking moggyd: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, fmt.Errorf("asking moggyd: %w", err)
	}
	defer resp.Body.Close()
	if err := refused(resp); err != nil {
		return a, err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		return a, fmt.Errorf("reading moggyd's answer: %w; ask for less with --limit", err)
	}
	return a, nil
}

// refused is the error that an answer brings; nil if it brings none.
func refused(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var e Error
	err := json.NewDecoder(io.LimitReader(resp.Body, maxRequest)).Decode(&e)
	if err != nil || e.Text == "" {
		return &Error{Fault, "moggyd does not know this question (" + resp.Status + "); restart it: it is of another version"}
	}
	return &e
}

// PutEntry implements Desk.
func (c *Client) PutEntry(ctx context.Context, q EntryPut) (EntryChange, error) {
	return ask[EntryPut, EntryChange](ctx, c, putEntry, q)
}

// RemoveEntry implements Desk.
func (c *Client) RemoveEntry(ctx context.Context, q EntryKey) (EntryChange, error) {
	return ask[EntryKey, EntryChange](ctx, c, removeEntry, q)
}

// Entries implements Desk.
func (c *Client) Entries(ctx context.Context, q EntryFilter) (EntryList, error) {
	return ask[EntryFilter, EntryList](ctx, c, entries, q)
}

// Show implements Desk.
func (c *Client) Show(ctx context.Context, q Where) (Shown, error) {
	return ask[Where, Shown](ctx, c, show, q)
}

// PutTrap implements Desk.
func (c *Client) PutTrap(ctx context.Context, q TrapPut) (TrapChange, error) {
	return ask[TrapPut, TrapChange](ctx, c, putTrap, q)
}

// RemoveTrap implements Desk.
func (c *Client) RemoveTrap(ctx context.Context, q TrapKey) (TrapChange, error) {
	return ask[TrapKey, TrapChange](ctx, c, removeTrap, q)
}

// Traps implements Desk.
func (c *Client) Traps(ctx context.Context, q TrapFilter) (TrapList, error) {
	return ask[TrapFilter, TrapList](ctx, c, traps, q)
}

// Grey implements Desk.
func (c *Client) Grey(ctx context.Context, q GreyFilter) (GreyList, error) {
	return ask[GreyFilter, GreyList](ctx, c, grey, q)
}

// Forget implements Desk.
func (c *Client) Forget(ctx context.Context, q GreyFilter) (Forgotten, error) {
	return ask[GreyFilter, Forgotten](ctx, c, forget, q)
}

// Pardon implements Desk.
func (c *Client) Pardon(ctx context.Context, q Plea) (Pardoned, error) {
	return ask[Plea, Pardoned](ctx, c, pardon, q)
}

// Stuck implements Desk.
func (c *Client) Stuck(ctx context.Context, q StuckFilter) (StuckList, error) {
	return ask[StuckFilter, StuckList](ctx, c, stuck, q)
}

// Evidence implements Desk.
func (c *Client) Evidence(ctx context.Context, q EvidenceFilter) (Evidence, error) {
	return ask[EvidenceFilter, Evidence](ctx, c, evidence, q)
}

// Blocked implements Desk.
func (c *Client) Blocked(ctx context.Context, q BlockFilter) (Sight, error) {
	return ask[BlockFilter, Sight](ctx, c, blocked, q)
}

// Good implements Desk.
func (c *Client) Good(ctx context.Context, q GoodFilter) (GoodList, error) {
	return ask[GoodFilter, GoodList](ctx, c, good, q)
}

// Records implements Desk.
func (c *Client) Records(ctx context.Context, q journal.Query) (RecordList, error) {
	return ask[journal.Query, RecordList](ctx, c, recordsOf, q)
}

// Top implements Desk.
func (c *Client) Top(ctx context.Context, q TopFilter) (TopList, error) {
	return ask[TopFilter, TopList](ctx, c, top, q)
}

// Try implements Desk.
func (c *Client) Try(ctx context.Context, q Question) (Trial, error) {
	return ask[Question, Trial](ctx, c, try, q)
}

// Lists implements Desk.
func (c *Client) Lists(ctx context.Context, q ListsFilter) (ListsAnswer, error) {
	return ask[ListsFilter, ListsAnswer](ctx, c, dnsLists, q)
}

// Who implements Desk.
func (c *Client) Who(ctx context.Context, q WhoFilter) (WhoList, error) {
	return ask[WhoFilter, WhoList](ctx, c, who, q)
}

// Status implements Desk.
func (c *Client) Status(ctx context.Context, q StatusFilter) (Status, error) {
	return ask[StatusFilter, Status](ctx, c, status, q)
}
