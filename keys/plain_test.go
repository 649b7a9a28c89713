package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// pair is a member as PlainMembers yields it.
type pair struct{ Name, Value string }

func plainMembers(text string) (members []pair, plain bool) {
	plain = keys.PlainMembers(text, func(name, value string) { members = append(members, pair{name, value}) })
	return members, plain
}

// members spells an object of n members.
func members(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"m%d":%d`, i, i)
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestPlainMembers(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, text string
		want       []pair
	}{
		{"a string", `{"a":"b"}`, []pair{{"a", `"b"`}}},
		{"an empty string", `{"a":""}`, []pair{{"a", `""`}}},
		{"an empty name", `{"":"b"}`, []pair{{"", `"b"`}}},
		{"literals", `{"t":true,"f":false,"n":null}`, []pair{{"t", "true"}, {"f", "false"}, {"n", "null"}}},
		{"integers", `{"z":0,"a":7,"b":999999999999999}`, []pair{{"z", "0"}, {"a", "7"}, {"b", "999999999999999"}}},
		{"arrays", `{"a":["x"],"b":["x","","y"]}`, []pair{{"a", `["x"]`}, {"b", `["x","","y"]`}}},
		{"the signs of JSON in strings", `{"{[,:]}":"{[,:]}","a":["]","}",","]}`,
			[]pair{{"{[,:]}", `"{[,:]}"`}, {"a", `["]","}",","]`}}},
		{"every printable character but two", `{"a":" !#$%&'()*+,-./0123456789:;<=>?@AZ[]^_` + "`" + `az{|}~"}`,
			[]pair{{"a", `" !#$%&'()*+,-./0123456789:;<=>?@AZ[]^_` + "`" + `az{|}~"`}}},
		{"names that differ in letter case", `{"a":1,"A":2}`, []pair{{"a", "1"}, {"A", "2"}}},
		{"names that begin alike", `{"a":1,"aa":2,"":3}`, []pair{{"a", "1"}, {"aa", "2"}, {"", "3"}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, plain := plainMembers(row.text)
			if diff := cmp.Diff(row.want, got); !plain || diff != "" {
				t.Errorf("plain %v: %s", plain, diff)
			}
		})
	}
	if got, plain := plainMembers(members(24)); !plain || len(got) != 24 {
		t.Errorf("24 members: plain %v, %d of them", plain, len(got))
	}
}

// None of these is plain. Some are objects for DecodeObject, which PlainMembers need not know.
func TestPlainMembersRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, text string }{
		{"nothing", ""},
		{"a brace", "{"},
		{"the other brace", "}"},
		{"the empty object", "{}"},
		{"only a comma", "{,}"},
		{"an array", `["a"]`},
		{"a string", `"a"`},
		{"null", "null"},
		{"25 members", members(25)},
		{"26 members", members(26)},

		{"unclosed", `{"a":"b"`},
		{"unclosed after a comma", `{"a":"b",`},
		{"unclosed after a colon", `{"a":`},
		{"unclosed name", `{"a`},
		{"unclosed value", `{"a":"b}`},
		{"unclosed array", `{"a":["b"`},
		{"unclosed array after a comma", `{"a":["b",`},
		{"unclosed array, closed object", `{"a":["b"}`},
		{"unclosed number", `{"a":1`},
		{"cut literal", `{"a":tru}`},
		{"cut literal at the end", `{"a":tru`},
		{"literal and more", `{"a":truex}`},
		{"literal in upper case", `{"a":True}`},
		{"a literal of nobody's", `{"a":fals3}`},
		{"nil", `{"a":nil}`},
		{"NaN", `{"a":NaN}`},

		{"trailing comma", `{"a":"b",}`},
		{"leading comma", `{,"a":"b"}`},
		{"two commas", `{"a":"b",,"c":"d"}`},
		{"trailing comma in an array", `{"a":["b",]}`},
		{"leading comma in an array", `{"a":[,"b"]}`},
		{"no comma", `{"a":"b""c":"d"}`},
		{"no comma in an array", `{"a":["b""c"]}`},
		{"no colon", `{"a""b"}`},
		{"no value", `{"a":}`},
		{"no value, and another member", `{"a":,"b":1}`},
		{"only a name", `{"a"}`},
		{"two colons", `{"a"::"b"}`},
		{"two values", `{"a":"b":"c"}`},
		{"a name that is a number", `{1:"b"}`},
		{"a name without quotes", `{a:"b"}`},
		{"single quotes", `{'a':'b'}`},

		{"a brace behind", `{"a":"b"}}`},
		{"a line break behind", `{"a":"b"}` + "\n"},
		{"a NUL behind", `{"a":"b"}` + "\x00"},
		{"another object behind", `{"a":"b"}{"a":"c"}`},
		{"a comma behind", `{"a":"b"},`},
		{"a byte order mark before", "\ufeff" + `{"a":"b"}`},
		{"a space before", ` {"a":"b"}`},
		{"a space behind", `{"a":"b"} `},
		{"a space after the brace", `{ "a":"b"}`},
		{"a space before the colon", `{"a" :"b"}`},
		{"a space after the colon", `{"a": "b"}`},
		{"a space after the comma", `{"a":"b", "c":"d"}`},
		{"a space before the end", `{"a":"b" }`},
		{"a space in an array", `{"a":[ "b"]}`},
		{"a tab", `{"a":` + "\t" + `"b"}`},

		{"an escaped name", `{"\u0061":"b"}`},
		{"an escaped value", `{"a":"\u0062"}`},
		{"an escaped quote", `{"a":"\"","c":"d"}`},
		{"an escaped quote in an array", `{"a":["\"]}","c"]}`},
		{"a backslash", `{"a":"\"}`},
		{"a quote in a string", `{"a":"b"c"}`},
		{"a quote at the end", `{"a":"b""}`},
		{"three quotes", `{"a":"""}`},
		{"a control character in a string", "{\"a\":\"b\x1fc\"}"},
		{"a NUL in a string", "{\"a\":\"b\x00c\"}"},
		{"a line break in a string", "{\"a\":\"b\nc\"}"},
		{"DEL", "{\"a\":\"b\x7fc\"}"},
		{"letters beyond ASCII", `{"a":"ä"}`},
		{"a name beyond ASCII", `{"ä":"a"}`},
		{"not UTF-8", "{\"a\":\"\xff\"}"},

		{"a member twice", `{"a":"b","a":"b"}`},
		{"a member twice, far apart", `{"a":1,"b":2,"c":3,"a":4}`},
		{"the empty name twice", `{"":1,"":2}`},
		{"the last of 24 twice", strings.TrimSuffix(members(23), "}") + `,"m22":0}`},

		{"leading zero", `{"a":01}`},
		{"two zeros", `{"a":00}`},
		{"minus", `{"a":-1}`},
		{"minus zero", `{"a":-0}`},
		{"only a minus", `{"a":-}`},
		{"plus", `{"a":+1}`},
		{"an exponent", `{"a":1e3}`},
		{"an exponent in upper case", `{"a":1E3}`},
		{"a fraction", `{"a":1.5}`},
		{"a fraction of zero", `{"a":1.0}`},
		{"a fraction alone", `{"a":.5}`},
		{"hexadecimal", `{"a":0x10}`},
		{"16 digits", `{"a":1000000000000000}`},
		{"16 digits, with zeros", `{"a":0000000000000001}`},

		{"an empty array", `{"a":[]}`},
		{"an array of numbers", `{"a":[1]}`},
		{"an array of null", `{"a":["b",null]}`},
		{"an array of arrays", `{"a":[["b"]]}`},
		{"an array of objects", `{"a":[{"b":"c"}]}`},
		{"an array closed twice", `{"a":["b"]]}`},
		{"an array that is closed as an object", `{"a":["b"}}`},
		{"an object in it", `{"a":{"b":"c"}}`},
		{"an empty object in it", `{"a":{}}`},
		{"a comment", `{/**/"a":"b"}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got, plain := plainMembers(row.text); plain {
				t.Errorf("taken for plain: %q, with %q", row.text, got)
			}
		})
	}
}

// Whatever part of a plain object is cut off, the rest is not plain.
func TestPlainMembersCut(t *testing.T) {
	t.Parallel()
	const text = `{"iss":"https://a","aud":["x","y"],"exp":12,"ok":true}`
	if _, plain := plainMembers(text); !plain {
		t.Fatal("not plain as it is")
	}
	for size := range len(text) {
		if got, plain := plainMembers(text[:size]); plain {
			t.Errorf("taken for plain: %q, with %q", text[:size], got)
		}
	}
}

func TestPlainString(t *testing.T) {
	t.Parallel()
	rows := []struct {
		value, want string
		isString    bool
	}{
		{`"a"`, "a", true},
		{`""`, "", true},
		{`"["`, "[", true},
		{`["a"]`, "", false},
		{"1", "", false},
		{"true", "", false},
		{"null", "", false},
	}
	for _, row := range rows {
		if got, isString := keys.PlainString(row.value); got != row.want || isString != row.isString {
			t.Errorf("%s: %q, %v", row.value, got, isString)
		}
	}
}

// Not even what is refused in the end costs memory: anybody can write that.
func TestPlainMembersAllocates(t *testing.T) {
	sum := 0
	add := func(name, value string) {
		content, _ := keys.PlainString(value)
		sum += len(name) + len(content)
	}
	for _, text := range []string{testPayload, header("ES256", keystest.ES256), members(24), members(25),
		members(24) + " ", `{"a":["` + strings.Repeat(`","`, 1000) + `"]}`} {
		if n := testing.AllocsPerRun(100, func() { keys.PlainMembers(text, add) }); n != 0 {
			t.Errorf("%g allocations for %.40q", n, text)
		}
	}
	if sum == 0 {
		t.Error("nothing was yielded")
	}
}
