package tokens

import (
	"errors"
	"regexp"
	"strings"
)

// scrub returns err, or when a secret is in its text, an error of the same kind without it: who sends our words back to
// us, as a server's "I do not understand …", must not bring them into a log.
func scrub(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		clean := *refused
		clean.Code, clean.Description = hide(refused.Code, secrets), hide(refused.Description, secrets)
		return &clean
	}
	text := err.Error()
	if clean := hide(text, secrets); clean != text {
		return &scrubbed{clean, err}
	}
	return err
}

// scrubbed says what err says, but for secrets.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string { return s.text }

// Is looks at what was scrubbed. There is no Unwrap, which would give it away.
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

// Timeout and Temporary are those of [net.Error].
func (s *scrubbed) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.As(s.err, &timeout) && timeout.Timeout()
}

// jwt matches what looks like a token, also the beginning of one.
var jwt = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)*`)

const hidden = "[hidden]"

func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	return jwt.ReplaceAllString(text, hidden)
}
