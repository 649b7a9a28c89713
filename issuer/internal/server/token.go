package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/signet/issuer/internal/oauth"
)

const (
	maxBody = 64 << 10 // octets of a token request

	// failureCost is how many requests a failed authentication counts for, besides itself: guessing is slower than asking.
	failureCost = 10

	overloadWait = time.Second     // how long a caller is asked to wait when there is too much to do
	usualWait    = 5 * time.Second // and when something else is not to be had
)

// statuses is the one table from error to status (RFC 6749 §5.2).
var statuses = map[oauth.Code]int{
	oauth.InvalidRequest:         http.StatusBadRequest,
	oauth.InvalidClient:          http.StatusUnauthorized,
	oauth.UnsupportedGrantType:   http.StatusBadRequest,
	oauth.InvalidScope:           http.StatusBadRequest,
	oauth.InvalidTarget:          http.StatusBadRequest,
	oauth.ServerError:            http.StatusInternalServerError,
	oauth.TemporarilyUnavailable: http.StatusServiceUnavailable,
}

// refusal is an error and the status that it goes out with.
type refusal struct {
	*oauth.Error
	status int
}

// tokenEndpoint is the token endpoint over HTTP (RFC 6749 §3.2).
type tokenEndpoint struct {
	cfg     Config
	metrics *metrics
}

func (t *tokenEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := exchangeOf(w)
	// On every answer, refusals too (RFC 6749 §5.1).
	header := w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Pragma"] = []string{"no-cache"}
	response, record, refused := t.answerOrRecover(e, r)
	if refused != nil {
		t.metrics.refused(refused, time.Since(e.started))
		t.auditRefused(e, r, record, refused)
		writeRefusal(e, refused)
		return
	}
	t.metrics.issued(record.Algorithm, time.Since(e.started))
	t.auditIssued(e, r, record) // before the answer: no token is out that the trail does not know
	text, err := response.Encode()
	write(e, http.StatusOK, text, err)
}

// answerOrRecover turns a panic into a refusal like any other, which is counted and in the audit trail.
func (t *tokenEndpoint) answerOrRecover(e *exchange, r *http.Request) (response oauth.Response, record oauth.Record, refused *refusal) {
	defer func() {
		if cause := recover(); cause != nil {
			logPanic(t.cfg.Log, e, r, cause)
			response, refused = oauth.Response{}, refusalOf(errPanic)
		}
	}()
	return t.answer(e, r)
}

// answer does the cheap things first: what is refused for its address or its form costs no cryptography, and nobody who
// sends slowly holds a slot.
func (t *tokenEndpoint) answer(e *exchange, r *http.Request) (oauth.Response, oauth.Record, *refusal) {
	caller := callerOf(e.remote)
	if wait := t.cfg.Addresses.Take(caller); wait > 0 {
		return oauth.Response{}, oauth.Record{}, busy(http.StatusTooManyRequests, errAddressLimit, wait)
	}
	form, refused := readForm(e, r)
	if refused != nil {
		return oauth.Response{}, oauth.Record{}, refused
	}
	if !t.cfg.InFlight.Enter() {
		return oauth.Response{}, oauth.Record{}, busy(http.StatusServiceUnavailable, errOverload, overloadWait)
	}
	defer t.cfg.InFlight.Leave()
	response, record, err := t.cfg.Token(r.Context(), oauth.Request{Authorization: r.Header["Authorization"], Form: form})
	if err != nil {
		refused = refusalOf(err)
		if refused.Code == oauth.InvalidClient {
			t.cfg.Addresses.Charge(caller, failureCost)
		}
	}
	return response, record, refused
}

var (
	errAddressLimit = errors.New("too many requests from this address")
	errOverload     = errors.New("too many requests at once")
)

func busy(status int, cause error, wait time.Duration) *refusal {
	return &refusal{&oauth.Error{
		Code:        oauth.TemporarilyUnavailable,
		Description: "too many requests",
		Cause:       cause,
		RetryAfter:  wait,
	}, status}
}

// readForm reads the parameters of a token request from its body alone (RFC 6749 §3.2, §4.4.2).
func readForm(e *exchange, r *http.Request) (url.Values, *refusal) {
	bad := func(status int, description string) (url.Values, *refusal) {
		return nil, &refusal{&oauth.Error{Code: oauth.InvalidRequest, Description: description}, status}
	}
	if r.Method != http.MethodPost {
		e.Header().Set("Allow", http.MethodPost)
		return bad(http.StatusMethodNotAllowed, "the token endpoint takes POST only")
	}
	if r.URL.RawQuery != "" {
		return bad(http.StatusBadRequest, "parameters belong in the body, not in the URI")
	}
	if !isForm(r.Header["Content-Type"]) {
		return bad(http.StatusBadRequest, "the body must be application/x-www-form-urlencoded in UTF-8")
	}
	body, err := io.ReadAll(http.MaxBytesReader(e.ResponseWriter, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bad(http.StatusRequestEntityTooLarge, "the body is longer than 64 KiB")
	case err != nil:
		return bad(http.StatusBadRequest, "the body cannot be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return bad(http.StatusBadRequest, "the body is not a form")
	}
	return form, nil
}

const formType = "application/x-www-form-urlencoded"

// isForm reports whether the one Content-Type is a form's; a charset in it must be UTF-8 (RFC 6749 appendix B).
func isForm(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	if contentType[0] == formType {
		return true
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType[0])
	charset, named := parameters["charset"]
	return err == nil && mediaType == formType && (!named || strings.EqualFold(charset, "utf-8"))
}

func refusalOf(err error) *refusal {
	var refused *oauth.Error
	if !errors.As(err, &refused) {
		refused = &oauth.Error{Code: oauth.ServerError, Description: "the request cannot be answered now", Cause: err}
	}
	if errors.Is(refused, oauth.ErrLimited) {
		return &refusal{refused, http.StatusTooManyRequests}
	}
	return &refusal{refused, statuses[refused.Code]}
}

func writeRefusal(w http.ResponseWriter, refused *refusal) {
	switch refused.status {
	case http.StatusUnauthorized:
		// RFC 9110 §15.5.2 wants a challenge on every 401, RFC 6749 §5.2 this one after failed Basic credentials.
		w.Header().Set("WWW-Authenticate", `Basic realm="signet", charset="UTF-8"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", retryAfter(refused.RetryAfter))
	}
	writeJSON(w, refused.status, struct {
		Error       oauth.Code `json:"error"`
		Description string     `json:"error_description"`
	}{refused.Code, refused.Description})
}

// retryAfter is a wait in whole seconds (RFC 9110 §10.2.3), rounded up: who comes sooner comes in vain.
func retryAfter(wait time.Duration) string {
	if wait <= 0 {
		wait = usualWait
	}
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	write(w, status, text, err)
}

// write answers with JSON, or 500 when making it failed.
func write(w http.ResponseWriter, status int, text []byte, err error) {
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	text = append(text, '\n')
	header := w.Header()
	header["Content-Type"] = []string{"application/json"}
	header["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
