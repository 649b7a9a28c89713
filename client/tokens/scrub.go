package tokens

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
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
		return &scrubbed{clean, func() error { return err }}
	}
	return err
}

// scrubbed says what err says, but for secrets.
type scrubbed struct {
	text string
	err  func() error // a function, because %#v prints the fields of what is in a field
}

func (s *scrubbed) Error() string { return s.text }

// Is looks at what was scrubbed. There is no Unwrap, which would give it away.
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err(), target) }

// As finds a [busyError], which has nothing in it of anybody's words.
func (s *scrubbed) As(target any) bool {
	busy, isBusy := target.(**busyError)
	return isBusy && errors.As(s.err(), busy)
}

// Timeout and Temporary are those of [net.Error].
func (s *scrubbed) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.As(s.err(), &timeout) && timeout.Timeout()
}

func (s *scrubbed) Temporary() bool {
	var temporary interface{ Temporary() bool }
	return errors.As(s.err(), &temporary) && temporary.Temporary()
}

// jwt matches what looks like a token, also the beginning of one.
var jwt = regexp.MustCompile(`^eyJ[\w-]{8,}(\.[\w-]*)*`)

const (
	hidden         = "[hidden]"
	leastBeginning = 8 // characters of a secret that are not there by chance
)

// hide takes out of text what looks like a token, and the secrets: whole, or their beginnings, as texts are cut off.
func hide(text string, secrets []string) string {
	all := spellings(secrets)
	var clean strings.Builder
	for text != "" {
		size := beginning(text, all)
		if size > 0 {
			clean.WriteString(hidden)
		} else {
			size = 1
			clean.WriteByte(text[0])
		}
		text = text[size:]
	}
	return clean.String()
}

// spellings are the ways in which secrets stand in what we send, and how %q writes them.
func spellings(secrets []string) []string {
	var all []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for _, sent := range []string{secret, url.QueryEscape(secret)} {
			quoted := strconv.Quote(sent)
			all = append(all, sent, quoted[1:len(quoted)-1])
		}
	}
	return all
}

// beginning returns how many octets at the beginning of text are a token, one of the secrets, or enough of one.
func beginning(text string, secrets []string) int {
	longest := len(jwt.FindString(text))
	for _, secret := range secrets {
		same := 0
		for same < min(len(text), len(secret)) && text[same] == secret[same] {
			same++
		}
		if same >= min(len(secret), leastBeginning) {
			longest = max(longest, same)
		}
	}
	return longest
}
