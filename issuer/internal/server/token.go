package server

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"example.com/signet/issuer/internal/oauth"
)

const maxBody = 64 << 10 // octets of a token request

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

// retryAfter is how many seconds a client is asked to wait after a 503.
const retryAfter = "5"

func tokenHandler(cfg Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// On every answer, refusals too (RFC 6749 §5.1).
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		form, status, refused := readForm(w, r)
		if refused != nil {
			logRefused(cfg.Log, r, refused)
			writeError(w, status, refused)
			return
		}
		response, err := cfg.Token(r.Context(), oauth.Request{Authorization: r.Header.Values("Authorization"), Form: form})
		if err != nil {
			refused := asOAuth(err)
			logRefused(cfg.Log, r, refused)
			writeError(w, statuses[refused.Code], refused)
			return
		}
		logIssued(cfg.Log, r, response)
		writeJSON(w, http.StatusOK, response)
	}
}

// readForm reads the parameters of a token request from its body alone (RFC 6749 §3.2, §4.4.2).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, int, *oauth.Error) {
	bad := func(status int, description string) (url.Values, int, *oauth.Error) {
		return nil, status, &oauth.Error{Code: oauth.InvalidRequest, Description: description}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return bad(http.StatusMethodNotAllowed, "the token endpoint takes POST only")
	}
	if r.URL.RawQuery != "" {
		return bad(http.StatusBadRequest, "parameters belong in the body, not in the URI")
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return bad(http.StatusBadRequest, "the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
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
	return form, 0, nil
}

func asOAuth(err error) *oauth.Error {
	var refused *oauth.Error
	if !errors.As(err, &refused) {
		refused = &oauth.Error{Code: oauth.ServerError, Description: "the request cannot be answered now", Cause: err}
	}
	return refused
}

func writeError(w http.ResponseWriter, status int, refused *oauth.Error) {
	switch status {
	case http.StatusUnauthorized:
		// RFC 9110 §15.5.2 wants a challenge on every 401, RFC 6749 §5.2 this one after failed Basic credentials.
		w.Header().Set("WWW-Authenticate", `Basic realm="signet", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, struct {
		Error       oauth.Code `json:"error"`
		Description string     `json:"error_description"`
	}{refused.Code, refused.Description})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

func logIssued(log *slog.Logger, r *http.Request, response oauth.Response) {
	log.InfoContext(r.Context(), "token issued",
		"client_id", response.Issued.ClientID,
		"audience", response.Issued.Audience,
		"scope", response.Scope,
		"kid", response.Issued.KeyID,
		"jti", response.Issued.TokenID,
		"request_id", requestIDOf(r))
}

func logRefused(log *slog.Logger, r *http.Request, refused *oauth.Error) {
	cause := refused.Description
	if refused.Cause != nil {
		cause = refused.Cause.Error()
	}
	log.WarnContext(r.Context(), "token refused",
		"error", refused.Code,
		"cause", cause,
		"request_id", requestIDOf(r))
}
