package tokens

import (
	"context"
	"fmt"

	"golang.org/x/oauth2"
)

// TokenSource returns s for code that wants an [oauth2.TokenSource], whose Token has no context of its own: ctx is that
// of every call. What it returns prints the token when it is printed, unlike [Token]. Whoever keeps its tokens, as
// [oauth2.ReuseTokenSource] and [oauth2.NewClient] do, sends one until it expires, and for ever when the issuer does not
// say when that is; [Source.Invalidate] does not reach it.
func (s *Source) TokenSource(ctx context.Context) oauth2.TokenSource { return tokenSource{s, ctx} }

type tokenSource struct {
	source *Source
	ctx    context.Context // the interface has no place for one
}

var _ oauth2.TokenSource = tokenSource{}

// Token implements [oauth2.TokenSource].
func (t tokenSource) Token() (*oauth2.Token, error) {
	token, err := t.source.Token(t.ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.AccessToken(), TokenType: "Bearer", Expiry: token.Expires}, nil
}

// Format writes what the source's does.
func (t tokenSource) Format(w fmt.State, verb rune) { t.source.Format(w, verb) }
