package keys_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// What Verify accepts has one spelling, and the standard library alone would verify it too.
func FuzzParse(f *testing.F) {
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		token := genuine(name)
		head, payload, sig := segments(token)
		for _, seed := range []string{token, token + "\n", token + "=", head + "." + payload + "." + strayBits(sig), head + "." + payload, head + ".." + sig,
			"." + payload + "." + sig, token + "." + sig, strings.ToUpper(token)} {
			f.Add(seed)
		}
		alg := string(keystest.Key(name).Algorithm())
		for _, member := range []string{`"crit":null`, `"b64":false`, `"\u0078":1`, `"x":"\ud800"`, `"alg":"none"`, `"x":[[]]`} {
			f.Add(keystest.Forge(name, withMember(header(alg, name), member), testPayload))
		}
	}
	set := testSet()
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := keys.Parse(text)
		fast, fastErr := set.Parse(text)
		if (err == nil) != (fastErr == nil) || err != nil && err.Error() != fastErr.Error() || parsed.Header() != fast.Header() {
			t.Fatalf("Parse says %v, Set.Parse %v, of %q", err, fastErr, text)
		}
		got, verifyErr := set.Verify(text)
		if err != nil {
			checkRefusal(t, err, text, keys.ErrMalformed, keys.ErrAlgorithm)
			if verifyErr == nil {
				t.Fatalf("verified, but not parsed: %q", text)
			}
			return
		}
		head, payload, sig := segments(text)
		checkOneSpelling(t, head, payload, sig)
		if verifyErr != nil {
			checkRefusal(t, verifyErr, text, keys.ErrAlgorithm, keys.ErrUnknownKey, keys.ErrSignature)
			return
		}
		if keystest.Encode(got.Payload) != payload {
			t.Fatalf("payload %q of %q", got.Payload, text)
		}
		for _, name := range []string{keystest.ES256, keystest.RS256} {
			if idOf(name) == got.Header.KeyID && verifyAlone(keystest.Raw(name).Public(), text) {
				return
			}
		}
		t.Fatalf("verified here and not elsewhere: %q", text)
	})
}

func checkRefusal(t *testing.T, err error, token string, allowed ...error) {
	for _, sentinel := range allowed {
		if errors.Is(err, sentinel) {
			return
		}
	}
	t.Fatalf("error %q, of %q", err, token)
}

func checkOneSpelling(t *testing.T, segments ...string) {
	for _, segment := range segments {
		octets, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil || keystest.Encode(octets) != segment {
			t.Fatalf("parsed a segment that has another spelling: %q", segment)
		}
	}
}

// What ParseSet accepts is the same set after it was written and read again, with nothing left out.
func FuzzParseSet(f *testing.F) {
	for _, document := range [][]byte{
		must(testSet().MarshalJSON()),
		jwkSet(rfc7638Key, jwkWith(f, keystest.ES256, member{"kid": "\u2028<&>\"\\", "key_ops": []string{"verify"}})),
		jwkSet(rfc7638Key, `null`, `{"kty":"oct","kid":"k","k":"AQ"}`, p384JWK("k", "ES384")),
		jwkSet(jwkWith(f, keystest.ES256, member{"kid": "k"}), jwkWith(f, keystest.ES256Other, member{"kid": "k"})),
		jwkSet(withMember(rfc7638Key, `"kid":"again"`), rfc7638Key),
		jwkSet(), []byte(`{"keys":null}`), []byte(`{"keys":{}}`), []byte(`{"keys":[],"keys":[]}`), []byte(`<html>`), nil,
	} {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		set, _, err := keys.ParseSet(document)
		if err != nil {
			if set != nil || !errors.Is(err, keys.ErrNotSet) && !errors.Is(err, keys.ErrNoKeys) {
				t.Fatalf("set %v, error %q, of %q", set, err, document)
			}
			return
		}
		written := must(set.MarshalJSON())
		again, skipped, err := keys.ParseSet(written)
		if err != nil || skipped != nil || again.Len() != set.Len() || set.Len() == 0 {
			t.Fatalf("%s is not read back: %v, %v", written, skipped, err)
		}
		for key := range set.All() {
			if other := again.Key(key.ID()); other == nil || !other.Equal(key) || other.Algorithm() != key.Algorithm() {
				t.Fatalf("%s became %s in %s", key, other, written)
			}
			if parsed, err := keys.ParsePublicKey(must(key.MarshalPEM())); err != nil || parsed.Algorithm() != key.Algorithm() {
				t.Fatalf("%s is a key in JSON and not in PEM: %v", key, err)
			}
		}
		if !bytes.Equal(written, must(again.MarshalJSON())) {
			t.Fatalf("written twice, differently: %s", written)
		}
	})
}

// A private key that loads can be written, and loads again as the same key.
func FuzzParsePrivateKey(f *testing.F) {
	for _, name := range []string{keystest.ES256, keystest.RS256, keystest.WeakRSA, keystest.WrongCurve} {
		f.Add(keystest.PEM(name))
	}
	for _, text := range [][]byte{
		pemBlock("EC PRIVATE KEY", sec1()), append(ecParameters(), pemBlock("EC PRIVATE KEY", sec1())...),
		pemBlock("RSA PRIVATE KEY", pkcs1()), pemBlock("RSA PRIVATE KEY", mismatched()), pemBlock("EC PRIVATE KEY", strangePoint()),
		append(keystest.PEM(keystest.ES256), keystest.PEM(keystest.ES256Other)...), []byte(legacyEncrypted), nil,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := keys.ParsePrivateKey(text)
		if err != nil {
			if key != nil || !errors.Is(err, keys.ErrKey) {
				t.Fatalf("key %v, error %q", key, err)
			}
			return
		}
		again, err := keys.ParsePrivateKey(must(key.MarshalPEM()))
		if err != nil || again.ID() != key.ID() || !again.Public().Equal(key.Public()) {
			t.Fatalf("%v became %v, %v", key, again, err)
		}
	})
}

// A client's key that loads signs what its public half verifies, under the kid of its JWK, and is the same key in PEM.
// No error shows a number of the key, wherever in the JWK it is.
func FuzzParseClientKey(f *testing.F) {
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		f.Add([]byte(clientJWK(f, name, nil)))
		f.Add(keystest.PEM(name))
		for number, value := range privateMembers(name) {
			f.Add([]byte(clientJWK(f, name, member{"kty": value})))
			f.Add([]byte(clientJWK(f, name, member{number: strayBits(value.(string)[:43])})))
			f.Add([]byte(clientJWK(f, name, member{number: []any{value}})))
			f.Add([]byte(clientJWK(f, name, member{number: "\n"})))
			f.Add([]byte(withMember(clientJWK(f, name, nil), `"`+number+`":null`)))
		}
	}
	for _, text := range []string{p384Private(), `{"kty":"RSA","d":"AQ","p":"Ag","q":"Aw","n":"AQ","e":"Aw"}`, `{"d":""}`, `{`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := keys.ParseClientKey(text)
		var jwk map[string]any
		isJWK := json.Unmarshal(text, &jwk) == nil
		if err != nil {
			if key != nil || !errors.Is(err, keys.ErrKey) {
				t.Fatalf("key %v, error %q", key, err)
			}
			for name, value := range jwk {
				if long := fmt.Sprint(value); len(long) > 30 && strings.Contains(err.Error(), long[:30]) {
					t.Fatalf("%s is in the error %q", name, err)
				}
			}
			return
		}
		if kid, isText := jwk["kid"].(string); isJWK && isText && kid != "" && key.ID() != kid {
			t.Fatalf("kid %q became %q", kid, key.ID())
		}
		token, err := key.Sign(keys.TypeClientAssertion, []byte(testPayload))
		if err != nil {
			t.Fatalf("%v does not sign: %v", key, err)
		}
		got, err := must(keys.NewSet(key.Public())).Verify(token)
		if err != nil || got.Header.KeyID != key.ID() {
			t.Fatalf("%v signed for %q: %v", key, got.Header.KeyID, err)
		}
		again, err := keys.ParsePrivateKey(must(key.MarshalPEM()))
		if err != nil || !again.Public().Equal(must(keys.NewPublicKey(rawPublic(key)))) {
			t.Fatalf("%v became %v, %v", key, again, err)
		}
	})
}

// rawPublic is the public half as the standard library has it.
func rawPublic(key *keys.PrivateKey) any {
	block, _ := pem.Decode(must(key.Public().MarshalPEM()))
	return must(x509.ParsePKIXPublicKey(block.Bytes))
}

// What DecodeObject accepts, encoding/json accepts as an object too, with the same members; no object in it has a name
// twice.
func FuzzDecodeObject(f *testing.F) {
	for _, text := range []string{`{}`, `{"alg":"ES256","exp":1}`, `{"a":[{"b":null},1e400,"\ud83d\ude00"]}`, `{"a":1,"a":1}`,
		`{"\u0061":1}`, ` {}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":{"b":{"c":1,"c":2}}}`, `{"a":-0.0e-0}`,
		header("ES256", keystest.ES256), testPayload, jwkWith(f, keystest.RS256, nil)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var ours struct{}
		if keys.DecodeObject(text, &ours) != nil {
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(text, &theirs); err != nil || theirs == nil {
			t.Fatalf("encoding/json refuses %q: %v", text, err)
		}
		if bytes.HasPrefix(text, []byte(" ")) || bytes.ContainsAny(text[len(text)-1:], " \t\r\n") {
			t.Fatalf("something around the object: %q", text)
		}
		checkDistinctNames(t, json.NewDecoder(bytes.NewReader(text)))
	})
}

// checkDistinctNames walks the one value that is left in dec.
func checkDistinctNames(t *testing.T, dec *json.Decoder) {
	type level struct {
		names  map[string]bool // nil in an array
		isName bool            // the next token of an object is a name
	}
	var levels []level
	dec.UseNumber() // 1e400 is JSON, and no float64
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		if name, ok := token.(string); ok && top != nil && top.isName {
			if top.names[name] {
				t.Fatalf("member %q twice", name)
			}
			top.names[name], top.isName = true, false
			continue
		}
		if top != nil && top.names != nil {
			top.isName = true // whatever comes now is a value, and a name follows it
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{make(map[string]bool), true})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
	}
}

// What PlainMembers takes, DecodeObject takes too and reads in the same way: no member is missing, none is twice, and
// a string stands for the same.
func FuzzPlainMembers(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":"b"}`, `{"a":["b","c"],"d":12,"e":true,"f":null,"g":false}`, `{"a":1,"a":2}`,
		`{"a":01}`, `{"a":-0}`, `{"a":1e3}`, `{"a":[]}`, `{"a":["b",]}`, `{"a":"b",}`, `{"a":"b"} `, `{"a":"\u0062"}`,
		"{\"a\":\"\x7f\"}", `{"a":"b}`, `{"a":tru}`, `{"a":{"b":1}}`, `{"":""}`, members(24), members(25), testPayload,
		header("ES256", keystest.ES256), jwkWith(f, keystest.RS256, nil)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, plain := plainMembers(text)
		if !plain {
			return
		}
		var want map[string]jsontext.Value
		if err := keys.DecodeObject([]byte(text), &want); err != nil {
			t.Fatalf("DecodeObject refuses %q: %v", text, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d, of %q", len(got), len(want), text)
		}
		for _, member := range got {
			if string(want[member.Name]) != member.Value { // names are distinct in want, so none is twice in got
				t.Fatalf("%q is %s, want %s, in %q", member.Name, member.Value, want[member.Name], text)
			}
			checkPlainString(t, member.Value)
		}
	})
}

func checkPlainString(t *testing.T, value string) {
	var want any
	if err := json.Unmarshal([]byte(value), &want); err != nil {
		t.Fatalf("encoding/json refuses %s: %v", value, err)
	}
	wantText, wantIs := want.(string)
	if content, isString := keys.PlainString(value); content != wantText || isString != wantIs {
		t.Fatalf("%s stands for %q, %v", value, content, isString)
	}
}

// A header says the same whether it is read the fast way or not: a space, which no plain header has, is the difference.
func FuzzHeader(f *testing.F) {
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		plain := header(string(keystest.Key(name).Algorithm()), name)
		f.Add(plain)
		for _, member := range []string{`"crit":null`, `"crit":["exp"]`, `"b64":true`, `"zip":"DEF"`, `"x":null`, `"x":["a"]`,
			`"x":1`, `"x":01`, `"jwk":{"kty":"oct"}`, `"jku":"https://evil.example.com"`, `"kid":"again"`, `"\u006bid":"again"`,
			`"KID":"again"`, `"CRIT":1`, `"x":"ä"`, `"x":"\u0061"`} {
			f.Add(withMember(plain, member))
		}
	}
	for _, text := range []string{`{}`, `{"alg":"none","kid":"k"}`, `{"alg":"ES256"}`, `{"alg":"ES256","kid":""}`,
		`{"alg":"ES256","kid":null}`, `{"alg":"ES256","kid":["k"]}`, `{"alg":["ES256"],"kid":"k"}`, `{"alg":null,"kid":"k"}`,
		`{"alg":"ES256","kid":"k","typ":1}`, `{"alg":"ES256","kid":"k","typ":null}`, `{"alg":"ES256","kid":"\u006b"}`,
		`{"alg":"ES256","kid":"` + strings.Repeat("k", 256) + `"}`,
		`{"alg":"RS256","kid":"` + strings.Repeat("k", 257) + `"}`,
		`{"alg":"es256","kid":"k"}`, `{"typ":"AT+JWT","kid":"K","alg":"ES256"}`, members(23), members(25)} {
		f.Add(text)
	}
	set := testSet()
	f.Fuzz(func(t *testing.T, text string) {
		rest, isObject := strings.CutPrefix(text, "{")
		if !isObject || len(text) > 4<<10 { // both have to fit into a token
			return
		}
		slow, slowErr := keys.Parse(unsigned("{ " + rest))
		type parser = func(string) (keys.Unverified, error)
		for name, parse := range map[string]parser{"Parse": keys.Parse, "Set.Parse": set.Parse} {
			fast, err := parse(unsigned(text))
			if fmt.Sprint(err) != fmt.Sprint(slowErr) || fast.Header() != slow.Header() {
				t.Fatalf("%s says %+v, %v, and with a space %+v, %v, of %q",
					name, fast.Header(), err, slow.Header(), slowErr, text)
			}
		}
	})
}

// unsigned is a token of the right form with this header.
func unsigned(header string) string { return keystest.Encode(header) + ".e30.AA" }
