package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
)

// load is clients that obtain tokens and call resource servers without pause, and the judgement of every answer.
type load struct {
	issuer string // identifier
	key    *keys.PrivateKey
	leeway time.Duration         // of the resource servers: for as long after its exp is a token valid
	again  time.Duration         // from one presentation of a token to the next
	killed bool                  // issuers are: a request for a token may go without an answer, and is made anew
	sites  map[string][]*program // resource servers by audience
	client *http.Client

	mu       sync.Mutex
	signed   map[string]*signing    // guarded by mu: by kid, what came from each key
	revoked  map[string]*revocation // guarded by mu: by kid
	count    counters               // guarded by mu
	failures []failure              // guarded by mu
}

type counters struct {
	tokens     int // that were obtained
	requests   int // to resource servers
	accepted   int
	late       int // refused when the token had ended before the answer came: says nothing
	turnedAway int // refused because the key was revoked
}

// signing is what one key was seen to sign.
type signing struct {
	alg         keys.Algorithm
	tokens      int
	first, last time.Time // the earliest and latest iat
}

// revocation is what is to be expected of the tokens of a key that is revoked.
type revocation struct {
	from   time.Time        // from here on they may be refused
	served time.Time        // from here on the issuer makes none; zero: not yet
	over   time.Time        // from here on they must be refused; zero: not yet
	away   map[*program]int // how many were refused after that
}

// failure is what should not have happened, with what finds the lines about it in the program's log.
type failure struct {
	text      string
	program   *program // nil: none in particular
	requestID string
}

// ticket is a token as the load needs it.
type ticket struct {
	token, kid string
	ends       time.Time // the last moment at which a resource server has to accept it
}

const (
	mintEvery    = 100 * time.Millisecond // a fresh token for each audience
	callEvery    = 100 * time.Millisecond // a call to each resource server with a token from a source that keeps it
	lastMoment   = 250 * time.Millisecond // how long before its end a token is presented the last time
	answerWithin = 10 * time.Second
)

func newLoad(t *testing.T, w *world, issuer string, sites map[string][]*program) *load {
	t.Helper()
	key, err := keys.ReadPrivateKey(w.path("keys/client/demo.pem"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &load{
		issuer:  issuer,
		key:     key,
		sites:   sites,
		client:  &http.Client{Transport: transport, Timeout: answerWithin},
		signed:  make(map[string]*signing),
		revoked: make(map[string]*revocation),
	}
}

// start lets the clients go. What it returns makes them stop, and waits for it; the end of the test does the same.
func (l *load) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for audience, servers := range l.sites {
		running.Go(func() {
			every(ctx, mintEvery, func() {
				// Not in this goroutine: one slow answer shall not spare the issuer the next request.
				running.Go(func() { l.follow(ctx, audience, servers) })
			})
		})
		for _, server := range servers {
			source := l.source(audience)
			running.Go(func() { every(ctx, callEvery, func() { l.call(source, server) }) })
		}
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop) // when the test ended in another way
	return stop
}

// every calls do at once and then at that interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (l *load) source(audience string) *tokens.Source {
	source, err := tokens.New(tokens.Config{
		Issuer: l.issuer, ClientID: "demo", Credential: tokens.PrivateKey(l.key), Resource: audience, HTTPClient: l.client,
		OnExchange: func(e tokens.Exchange) { // the source tries again by itself, and would hide it
			if e.Err != nil && !(l.killed && errors.Is(e.Err, tokens.ErrUnreachable)) {
				l.fail(nil, "", "no token: %v", e.Err)
			}
		},
	})
	if err != nil {
		panic(err) // the configuration is the test's own
	}
	return source
}

// follow obtains one token and presents it to every resource server that it is for, again and again until it ends.
func (l *load) follow(ctx context.Context, audience string, servers []*program) {
	asked := time.Now()
	k, ok := l.obtain(l.source(audience))
	if !ok {
		return
	}
	l.noteSigning(k, asked)
	l.presentToAll(ctx, servers, k)
}

// presentToAll presents a token to each of the servers, again and again until it ends.
func (l *load) presentToAll(ctx context.Context, servers []*program, k ticket) {
	for last := false; ctx.Err() == nil; {
		for _, server := range servers {
			l.present(server, k)
		}
		if last {
			return
		}
		pause := l.again
		if rest := time.Until(k.ends) - lastMoment; rest <= pause {
			pause, last = rest, true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// call calls once as a client does that keeps its token for as long as it may.
func (l *load) call(source *tokens.Source, server *program) {
	if k, ok := l.obtain(source); ok {
		l.present(server, k)
	}
}

func (l *load) obtain(source *tokens.Source) (ticket, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	token, err := source.Token(ctx)
	for l.killed && errors.Is(err, tokens.ErrUnreachable) && ctx.Err() == nil { // with a new assertion
		time.Sleep(10 * time.Millisecond) // the source leaves the issuer alone for a while
		token, err = source.Token(ctx)
	}
	if err != nil {
		l.fail(nil, "", "no token: %v", err)
		return ticket{}, false
	}
	return l.ticketFor(token.AccessToken())
}

func (l *load) ticketFor(token string) (ticket, bool) {
	parsed, claims, err := read(token)
	if err != nil {
		l.fail(nil, "", "not a token: %v", err)
		return ticket{}, false
	}
	return ticket{token, parsed.Header().KeyID, time.Unix(claims.Expires, 0).Add(l.leeway)}, true
}

type times struct {
	IssuedAt int64 `json:"iat"`
	Expires  int64 `json:"exp"`
}

func read(token string) (keys.Unverified, times, error) {
	var claims times
	parsed, err := keys.Parse(token)
	if err == nil {
		err = json.Unmarshal([]byte(parsed.InsecurePayload()), &claims)
	}
	return parsed, claims, err
}

// noteSigning keeps which key signed a token that was asked for at that moment.
func (l *load) noteSigning(k ticket, asked time.Time) {
	parsed, claims, err := read(k.token)
	if err != nil {
		panic(err) // obtain has read it already
	}
	at := time.Unix(claims.IssuedAt, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.signed[k.kid]
	if s == nil {
		s = &signing{alg: parsed.Header().Algorithm, first: at, last: at}
		l.signed[k.kid] = s
	}
	s.tokens++
	if at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
	l.count.tokens++
	if r := l.revoked[k.kid]; r != nil && !r.served.IsZero() && asked.After(r.served) {
		l.addFailure(nil, "", "the issuer signs with %s, %v after its revocation was served", k.kid, asked.Sub(r.served))
	}
}

// present calls a resource server with a token and judges its answer.
func (l *load) present(server *program, k ticket) {
	req, err := http.NewRequest(http.MethodGet, server.url+"/", nil)
	if err != nil {
		panic(err) // the address is one that has answered
	}
	req.Header.Set("Token", k.token)
	sent := time.Now()
	resp, err := l.client.Do(req)
	if err != nil {
		l.fail(server, "", "no answer: %v", err)
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		l.fail(server, "", "half an answer: %v", err)
		return
	}
	l.judge(server, k, sent, resp)
}

func (l *load) judge(server *program, k ticket, sent time.Time, resp *http.Response) {
	answered, id := time.Now(), resp.Header.Get("X-Request-Id")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.requests++
	r := l.revoked[k.kid]
	mustRefuse := r != nil && !r.over.IsZero() && sent.After(r.over)
	switch {
	case resp.StatusCode == http.StatusOK && mustRefuse:
		l.addFailure(server, id, "accepts a token of the revoked %s, %v after it has to refuse it", k.kid, sent.Sub(r.over))
	case resp.StatusCode == http.StatusOK:
		l.count.accepted++
	case resp.StatusCode != http.StatusUnauthorized:
		l.addFailure(server, id, "answers %s to a token of %s", resp.Status, k.kid)
	case mustRefuse:
		l.count.turnedAway++
		r.away[server]++
	case r != nil && answered.After(r.from):
		l.count.turnedAway++
	case answered.After(k.ends):
		l.count.late++
	default:
		l.addFailure(server, id, "refuses a token of %s that is valid for another %v: %q", k.kid, k.ends.Sub(answered),
			resp.Header.Get("WWW-Authenticate"))
	}
}

func (l *load) fail(p *program, requestID, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addFailure(p, requestID, format, args...)
}

// addFailure is fail for those who hold mu.
func (l *load) addFailure(p *program, requestID, format string, args ...any) {
	text := time.Now().UTC().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	l.failures = append(l.failures, failure{text, p, requestID})
}

// revoke tells what to expect of the kids while revoking goes on and from then on: accepted until the last verifier's set
// is too old, refused after that.
func (l *load) revoke(kids []string, stale time.Duration, revoking func()) (over time.Time) {
	from := time.Now()
	l.mu.Lock()
	for _, kid := range kids {
		l.revoked[kid] = &revocation{from: from, away: make(map[*program]int)}
	}
	l.mu.Unlock()
	revoking()
	served := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kid := range kids {
		l.revoked[kid].served, l.revoked[kid].over = served, served.Add(stale)
	}
	return served.Add(stale)
}

// turnedAway is how many tokens of the kids each resource server has refused after it had to.
func (l *load) turnedAway(kids []string) map[*program]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[*program]int)
	for _, kid := range kids {
		for server, n := range l.revoked[kid].away {
			all[server] += n
		}
	}
	return all
}

// signers is how many keys of an algorithm were seen to sign.
func (l *load) signers(alg keys.Algorithm) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.signed {
		if s.alg == alg {
			n++
		}
	}
	return n
}

// report fails the test for all that should not have happened, with what the logs have to say to it. The load has
// stopped.
func (l *load) report(t *testing.T, programs ...*program) {
	t.Helper()
	c := l.count
	t.Logf("ES256 keys that signed: %d, RS256: %d; fresh tokens: %d; calls: %d, accepted %d, refused %d, "+
		"of a revoked key %d, ended meanwhile %d", l.signers(keys.ES256), l.signers(keys.RS256), c.tokens, c.requests,
		c.accepted, c.requests-c.accepted-c.turnedAway-c.late, c.turnedAway, c.late)
	if c.late*10 > c.requests {
		t.Errorf("%d of %d answers came too late to say anything", c.late, c.requests)
	}
	const most = 10 // the rest says the same
	for _, f := range l.failures[:min(most, len(l.failures))] {
		name, lines := "the issuer", ""
		if f.program != nil {
			name, lines = f.program.name+" "+f.program.url, f.program.logAbout(f.requestID)
		}
		t.Errorf("%s: %s\n%s", name, f.text, lines)
	}
	if len(l.failures) > most {
		t.Errorf("%d failures in all", len(l.failures))
	}
	for _, p := range programs {
		if line := p.serverError(); line != "" {
			t.Errorf("%s %s answered 5xx: %s", p.name, p.url, line)
		}
		if t.Failed() {
			t.Logf("troubles of %s %s:\n%s", p.name, p.url, p.troubles())
		}
	}
}

// logAbout is the lines of the log about one request.
func (p *program) logAbout(requestID string) string {
	return p.lines(func(line string) bool { return requestID != "" && strings.Contains(line, requestID) })
}

// troubles is the lines of the log above the level of everyday, except for the refusals, which are judged elsewhere.
func (p *program) troubles() string {
	return p.lines(func(line string) bool {
		return !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, `"msg":"request refused"`)
	})
}

// serverError is a line of the log about a request that was answered with a 5xx, or nothing.
func (p *program) serverError() string {
	return p.lines(func(line string) bool { return strings.Contains(line, `"status":5`) })
}

func (p *program) lines(wanted func(string) bool) string {
	var all strings.Builder
	for line := range strings.Lines(p.log()) {
		if wanted(line) {
			all.WriteString(line)
		}
	}
	return all.String()
}

// published is the JWK Set at an issuer's address.
func (l *load) published(address string) ([]byte, error) {
	resp, err := l.client.Get(address + "/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// ringWatch looks at a directory of keys all the time and remembers every key that was ever there.
type ringWatch struct {
	dir  keys.Directory
	kids map[keys.Algorithm]map[time.Time]string // by when they sign from
	bad  []string                                // what must never be
}

// watchRing watches until what it returns is called, which returns the watch.
func watchRing(t *testing.T, dir string) (stop func() *ringWatch) {
	w := &ringWatch{dir: keys.Directory(dir), kids: make(map[keys.Algorithm]map[time.Time]string)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { every(ctx, 250*time.Millisecond, w.look) })
	t.Cleanup(cancel) // when the test ended in another way
	return func() *ringWatch {
		cancel()
		running.Wait()
		return w
	}
}

func (w *ringWatch) look() {
	ring, err := w.dir.Read()
	if err != nil { // whatever is being done to it, it has to load
		w.bad = append(w.bad, err.Error())
		return
	}
	for _, k := range ring.Keys() {
		alg := k.Key.Algorithm()
		if w.kids[alg] == nil {
			w.kids[alg] = make(map[time.Time]string)
		}
		was, there := w.kids[alg][k.SignsFrom]
		if there && was != k.Key.ID() {
			w.bad = append(w.bad, fmt.Sprintf("two keys for %s: %s and %s", keys.FileName(alg, k.SignsFrom), was, k.Key.ID()))
		}
		w.kids[alg][k.SignsFrom] = k.Key.ID()
	}
}

// check reports whether one key was made for each period, and whether each signed in its own period only.
func (w *ringWatch) check(t *testing.T, rotateEvery time.Duration, signed map[string]*signing) {
	t.Helper()
	for _, text := range w.bad {
		t.Errorf("the ring: %s", text)
	}
	known := make(map[string]bool)
	for alg, kids := range w.kids {
		var moments []time.Time
		for moment, kid := range kids {
			moments = append(moments, moment)
			known[kid] = true
		}
		slices.SortFunc(moments, time.Time.Compare)
		skipped := 0
		for i, moment := range moments {
			next := moment.Add(rotateEvery)
			if i+1 < len(moments) {
				next = moments[i+1]
			}
			// A period is left out when nobody got round to making its key in time: the one before signs on. That is safe,
			// and on a machine that stands still for seconds right.
			periods := next.Sub(moment) / rotateEvery
			if periods*rotateEvery != next.Sub(moment) || periods == 0 {
				t.Errorf("%s keys sign from %v and %v, which are not whole periods of %v apart", alg, moment, next, rotateEvery)
			}
			skipped += int(periods) - 1
			s := signed[kids[moment]]
			if s != nil && (s.first.Before(moment) || (i+1 < len(moments) && !s.last.Before(next))) {
				t.Errorf("%s %s signed from %v to %v, but its time is from %v to %v", alg, kids[moment], s.first, s.last, moment, next)
			}
		}
		t.Logf("%s: %d keys were made, one for each period; periods left out: %d", alg, len(moments), skipped)
	}
	for kid := range signed {
		if !known[kid] {
			t.Errorf("%s signed and was never in the directory", kid)
		}
	}
}

// balancer is what stands before several issuers of one name: it gives each request to one of them, and to another when
// that one is away or dies meanwhile. What may have used an assertion up is not sent twice.
type balancer struct {
	server   *httptest.Server
	backends []atomic.Pointer[string] // addresses
	turn     atomic.Uint64
	retries  atomic.Uint64
	http     *http.Transport
}

func newBalancer(t *testing.T, backends int) *balancer {
	b := &balancer{backends: make([]atomic.Pointer[string], backends), http: &http.Transport{MaxIdleConnsPerHost: 100}}
	b.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport: b,
	})
	t.Cleanup(b.server.Close)
	t.Cleanup(b.http.CloseIdleConnections)
	return b
}

// isAt tells where a backend is now.
func (b *balancer) isAt(i int, address string) { b.backends[i].Store(&address) }

// RoundTrip implements [http.RoundTripper]. It holds request and answer whole, so that it can begin anew at any point.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	var problems []error
	first := b.turn.Add(1)
	for i := range uint64(2 * len(b.backends)) { // the other one may just have taken its turn to die
		backend := b.backends[(first+i)%uint64(len(b.backends))].Load()
		resp, err := b.attempt(req, body, strings.TrimPrefix(*backend, "http://"))
		if err == nil || req.Context().Err() != nil {
			return resp, err
		}
		b.retries.Add(1)
		problems = append(problems, err)
		if req.Method == http.MethodPost && !isDialing(err) {
			break
		}
	}
	return nil, errors.Join(problems...)
}

// isDialing reports whether nothing was sent yet.
func isDialing(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

func (b *balancer) attempt(req *http.Request, body []byte, host string) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = "http", host
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body))
	resp, err := b.http.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// agreement compares what two issuers publish, all the time.
type agreement struct {
	apartSince time.Time     // since when they have been seen to publish different sets; zero: they do not
	longest    time.Duration // that they did
	compared   int
}

func (a *agreement) look(l *load, b *balancer) {
	var sets [][]byte
	for i := range b.backends {
		set, err := l.published(*b.backends[i].Load())
		if err != nil { // it is away, and when it comes back it reads the ring anew
			a.apartSince = time.Time{}
			return
		}
		sets = append(sets, set)
	}
	a.compared++
	switch now := time.Now(); {
	case bytes.Equal(sets[0], sets[1]):
		a.apartSince = time.Time{}
	case a.apartSince.IsZero():
		a.apartSince = now
	default:
		a.longest = max(a.longest, now.Sub(a.apartSince))
	}
}
