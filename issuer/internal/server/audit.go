package server

import (
	"log/slog"
	"net/http"
	"time"

	"example.com/signet/issuer/internal/oauth"
)

// auditIssued puts a token into the audit trail: who has it, for what, signed by which key, and its id, never the token.
func (t *tokenEndpoint) auditIssued(e *exchange, r *http.Request, record oauth.Record) {
	t.audit(e, r, "token.issued", slog.LevelInfo, http.StatusOK, record,
		slog.String("alg", string(record.Algorithm)),
		slog.String("kid", record.KeyID),
		slog.String("jti", record.TokenID))
}

// auditRefused puts a refusal into the audit trail, with the reason that the caller is not told.
func (t *tokenEndpoint) auditRefused(e *exchange, r *http.Request, record oauth.Record, refused *refusal) {
	cause := refused.Description
	if refused.Cause != nil {
		cause = refused.Cause.Error()
	}
	t.audit(e, r, "token.refused", slog.LevelWarn, refused.status, record,
		slog.String("error", string(refused.Code)),
		slog.String("cause", cause))
}

// audit writes an event: what the access log says of a request, who asks and for what, and what came of it. What is not
// known is left out.
func (t *tokenEndpoint) audit(e *exchange, r *http.Request, event string, level slog.Level, status int,
	record oauth.Record, outcome ...slog.Attr) {
	handler := t.cfg.Audit.Handler()
	if !handler.Enabled(r.Context(), level) {
		return
	}
	now := time.Now()
	line := slog.NewRecord(now, level, "audit", 0)
	attrs := [20]slog.Attr{slog.String("event", event)}
	n := 1
	for _, attr := range [...]slog.Attr{
		slog.String("client_id", record.ClientID),
		slog.String("auth_method", record.Method),
		slog.String("credential", record.Credential),
		slog.String("audience", record.Audience),
		slog.String("scope", record.Scope),
		slog.String("remote", e.from()),
	} {
		if attr.Value.String() != "" {
			attrs[n] = attr
			n++
		}
	}
	n += copy(attrs[n:], outcome)
	n += copy(attrs[n:], []slog.Attr{
		slog.String("method", methodOf(r)),
		slog.Int("status", status),
		slog.Int64("duration_us", now.Sub(e.started).Microseconds()),
		slog.String("request_id", e.id),
	})
	line.AddAttrs(attrs[:n]...)
	e.audited = handler.Handle(r.Context(), line) == nil // else the access log shall have it
}
