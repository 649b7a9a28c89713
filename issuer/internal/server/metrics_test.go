package server_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	var trouble error
	s := &site{clock: keystest.NewClock(), log: &buffer{}}
	cfg := s.config(t)
	cfg.Trouble = func() error { return trouble }
	handlers, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	private := httptest.NewServer(handlers.Private)
	t.Cleanup(private.Close)
	// The ring of the fixture: ES256 and RS256 have signed for an hour, another ES256 will in an hour. Keys of the fixture
	// are not known to be published, so the standby counts as safe.
	now := s.clock.Now()
	rows := []struct {
		name    string
		advance time.Duration
		trouble error
		want    []string
	}{
		{"as it begins", 0, nil, []string{
			`signet_keys{alg="ES256",state="active"} 1`,
			`signet_keys{alg="ES256",state="standby"} 1`,
			`signet_keys{alg="ES256",state="retired"} 0`,
			`signet_keys{alg="RS256",state="active"} 1`,
			`signet_keys{alg="RS256",state="standby"} 0`,
			`signet_key_last_rotation_timestamp_seconds{alg="ES256"} ` + unix(now.Add(-time.Hour)),
			`signet_key_next_rotation_timestamp_seconds{alg="ES256"} ` + unix(now.Add(time.Hour)),
			`signet_key_standby_safe_seconds{alg="ES256"} 0`,
			`signet_keys_trouble 0`,
		}},
		{"after the rotation", time.Hour, nil, []string{
			`signet_keys{alg="ES256",state="active"} 1`,
			`signet_keys{alg="ES256",state="standby"} 0`,
			`signet_keys{alg="ES256",state="retired"} 1`,
			`signet_key_last_rotation_timestamp_seconds{alg="ES256"} ` + unix(now.Add(time.Hour)),
		}},
		{"after the retention", time.Hour, errors.New("a directory that cannot be read"), []string{
			`signet_keys{alg="ES256",state="retired"} 0`,
			`signet_keys{alg="ES256",state="due"} 1`,
			`signet_keys_trouble 1`,
		}},
	}
	for _, row := range rows { // in order: the clock goes on
		t.Run(row.name, func(t *testing.T) {
			s.clock.Advance(row.advance)
			trouble = row.trouble
			response, err := http.Get(private.URL + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("status %d, %v", response.StatusCode, err)
			}
			for _, line := range row.want {
				if !strings.Contains("\n"+string(body), "\n"+line+"\n") {
					t.Errorf("without %s", line)
				}
			}
			if strings.Contains(string(body), "standby_safe_seconds{alg=\"RS256\"}") {
				t.Error("a standby that is not there has a time")
			}
		})
	}
}

// unix is a time as Prometheus writes it.
func unix(t time.Time) string { return strconv.FormatFloat(float64(t.Unix()), 'g', -1, 64) }
