package server

import (
	"log/slog"
	"net/http"

	"example.com/signet/issuer/internal/oauth"
)

// auditIssued puts a token into the audit trail: who has it, for what, signed by which key, and its id, never the token.
func (t *tokenEndpoint) auditIssued(r *http.Request, record oauth.Record) {
	t.cfg.Audit.LogAttrs(r.Context(), slog.LevelInfo, "audit", append(who("token.issued", r, record),
		slog.String("alg", string(record.Algorithm)),
		slog.String("kid", record.KeyID),
		slog.String("jti", record.TokenID))...)
}

// auditRefused puts a refusal into the audit trail, with the reason that the caller is not told.
func (t *tokenEndpoint) auditRefused(r *http.Request, record oauth.Record, refused *oauth.Error) {
	cause := refused.Description
	if refused.Cause != nil {
		cause = refused.Cause.Error()
	}
	t.cfg.Audit.LogAttrs(r.Context(), slog.LevelWarn, "audit", append(who("token.refused", r, record),
		slog.String("error", string(refused.Code)),
		slog.String("cause", cause))...)
}

// who is what both events say: who asks, from where, for what. What is not known is left out.
func who(event string, r *http.Request, record oauth.Record) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 12), slog.String("event", event))
	for _, attr := range [...]slog.Attr{
		slog.String("client_id", record.ClientID),
		slog.String("auth_method", record.Method),
		slog.String("credential", record.Credential),
		slog.String("audience", record.Audience),
		slog.String("scope", record.Scope),
		slog.String("remote", remoteOf(r)),
		slog.String("request_id", requestIDOf(r)),
	} {
		if attr.Value.String() != "" {
			attrs = append(attrs, attr)
		}
	}
	return attrs
}
