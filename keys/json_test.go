package keys_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
)

// document is a target with a field of each type that tokens and key sets use.
type document struct {
	Alg   string   `json:"alg"`
	Exp   int64    `json:"exp"`
	List  []string `json:"list"`
	Child struct {
		Name string `json:"name"`
	} `json:"child"`
}

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		text string
		want document
	}{
		{"nothing", `{}`, document{}},
		{"members", `{"alg":"ES256","exp":1795428900,"list":["a","b"]}`,
			document{Alg: "ES256", Exp: 1795428900, List: []string{"a", "b"}}},
		{"unknown members are ignored", `{"x":{"y":[1,null,true,1e400]},"alg":"ES256"}`, document{Alg: "ES256"}},
		{"space inside", "{ \"alg\" :\t\"ES256\"\r\n}", document{Alg: "ES256"}},
		{"escapes in values", `{"alg":"\u0045S\/\ud83d\ude00"}`, document{Alg: "ES/😀"}},
		{"another case is another member", `{"ALG":"none","Alg":"none","alg":"ES256"}`, document{Alg: "ES256"}},
		{"one name in two objects", `{"name":1,"child":{"name":"a"},"other":{"name":"b"}}`,
			document{Child: struct {
				Name string `json:"name"`
			}{"a"}}},
		// A caller for whom null is not the same as absent must take the member as jsontext.Value.
		{"null is the zero value", `{"alg":null,"exp":null,"list":null,"child":null}`, document{}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got document
			if err := keys.DecodeObject([]byte(row.text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeObjectRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"alg":"ES256"}`
	rows := []struct {
		name string
		text string
		say  string // "" where the JSON library chooses the words
	}{
		{"empty", ``, "not exactly one JSON object"},
		{"one octet", `{`, "not exactly one JSON object"},
		{"array", `[]`, "not exactly one JSON object"},
		{"array of an object", `[` + good + `]`, "not exactly one JSON object"},
		{"string", `"{}"`, "not exactly one JSON object"},
		{"number", `17`, "not exactly one JSON object"},
		{"null", `null`, "not exactly one JSON object"},
		{"space before", " " + good, "not exactly one JSON object"},
		{"space after", good + " ", "not exactly one JSON object"},
		{"line break after", good + "\n", "not exactly one JSON object"},
		{"NUL after", good + "\x00", "not exactly one JSON object"},
		{"byte order mark", "\ufeff" + good, "not exactly one JSON object"},
		{"two objects", good + good, ""},
		{"object, then a brace", good + "}", ""},
		{"comma at the end", `{"alg":"ES256",}`, ""},
		{"comment", `{/**/"alg":"ES256"}`, ""},
		{"single quotes", `{'alg':'ES256'}`, ""},
		{"name without quotes", `{alg:"ES256"}`, ""},

		{"duplicate", `{"alg":"ES256","alg":"ES256"}`, `duplicate`},
		{"duplicate of an unknown member", `{"x":1,"x":1}`, `duplicate`},
		{"duplicate inside an unknown member", `{"x":[{"y":1,"y":2}]}`, `duplicate`},
		{"duplicate inside a known member", `{"child":{"name":"a","name":"b"}}`, `duplicate`},
		{"duplicate by an escape", `{"alg":"ES256","\u0061lg":"none"}`, ``},

		{"escaped name", `{"\u0061lg":"ES256"}`, "member name with an escape"},
		{"escaped unknown name", `{"alg":"ES256","\u0078":1}`, "member name with an escape"},
		{"escaped solidus in a name", `{"a\/b":1}`, "member name with an escape"},
		{"escaped name in an object in an array", `{"x":[1,{"a":{}},{"a":"\n","\u0062":1}]}`, "member name with an escape"},
		{"escaped name in a known member", `{"child":{"\u006eame":"a"}}`, "member name with an escape"},

		{"string for a number", `{"exp":"1"}`, ""},
		{"fraction for an integer", `{"exp":1.5}`, ""},
		{"whole fraction for an integer", `{"exp":1.0}`, ""},
		{"power for an integer", `{"exp":1e3}`, ""},
		{"too large", `{"exp":9223372036854775808}`, ""},
		{"much too large", `{"exp":1e400}`, ""},
		{"leading zero", `{"exp":01}`, ""},
		{"plus", `{"exp":+1}`, ""},
		{"NaN", `{"exp":NaN}`, ""},
		{"number for a string", `{"alg":1}`, ""},
		{"array for a string", `{"alg":["ES256"]}`, ""},
		{"string for an array", `{"list":"a"}`, ""},
		{"number in an array of strings", `{"list":["a",1]}`, ""},
		{"array for an object", `{"child":[]}`, ""},

		{"invalid UTF-8 in a value", "{\"alg\":\"\xff\"}", ""},
		{"invalid UTF-8 in a name", "{\"\xff\":1}", ""},
		{"overlong UTF-8", "{\"alg\":\"\xc0\xaf\"}", ""},
		{"surrogate in UTF-8", "{\"alg\":\"\xed\xa0\x80\"}", ""},
		{"lone high surrogate", `{"alg":"\ud800"}`, ""},
		{"lone low surrogate", `{"alg":"\udc00"}`, ""},
		{"surrogates in the wrong order", `{"alg":"\udc00\ud800"}`, ""},
		{"lone surrogate in an unknown member", `{"x":"\ud800"}`, ""},
		{"line break in a string", "{\"alg\":\"a\nb\"}", ""},
		{"NUL in a string", "{\"alg\":\"a\x00b\"}", ""},
		{"unknown escape", `{"alg":"\x41"}`, ""},
		{"depth 10,000", `{"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got document
			err := keys.DecodeObject([]byte(row.text), &got)
			if err == nil || !strings.Contains(err.Error(), row.say) {
				t.Errorf("got %v, want an error that says %q", err, row.say)
			}
		})
	}
}
