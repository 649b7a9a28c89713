package bearer_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

func (e *edge) forms() []hostile {
	token := e.genuine()
	segments := strings.Split(token, ".")
	flattened := fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, segments[0], segments[1], segments[2])
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, segments[1], segments[0], segments[2])
	unsigned := strings.TrimSuffix(flattened, "}") + `,"header":{"kid":"x"}}`
	nested := keystest.Forge(keystest.ES256, e.header.With("cty", `"JWT"`).String(), token)
	jwe := keystest.Encode(`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":`+e.rsHeader[1].Value+`}`) + "." + strings.Repeat("A", 342) + ".AAAA.AAAA.AAAA"
	return []hostile{
		bad("a word", "token"),
		bad("one segment", segments[0]),
		bad("two segments", segments[0]+"."+segments[1]),
		bad("four segments", token+".AAAA"),
		bad("four, the last empty", token+"."),
		bad("five segments", token+".AAAA.AAAA"),
		bad("dots alone", ".."),
		bad("no header", "."+segments[1]+"."+segments[2]),
		bad("no payload", segments[0]+".."+segments[2]), // a detached payload (RFC 7515 appendix F)
		bad("segments in another order", segments[1]+"."+segments[0]+"."+segments[2]),
		bad("two tokens in a row", token+token),
		bad("two tokens with a dot", token+"."+token),
		bad("flattened JSON", flattened),
		bad("general JSON", general),
		bad("JSON with an unsigned header beside", unsigned),
		bad("JWE", jwe),
		bad("JWE that says ES256", keystest.Encode(e.header.With("enc", `"A256GCM"`).String())+".AAAA.AAAA.AAAA.AAAA"),
		bad("nested", nested),
	}
}

// stray sets the unused last bits of a segment that has some: a lax decoder reads the same octets from it.
func stray(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(segment)%4 < 2 {
		panic("no unused bits in " + segment)
	}
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + alphabet[last|1:last|1+1]
}

// loose is o, longer until its encoding has unused bits.
func loose(o keystest.Object) keystest.Object {
	for len(keystest.Encode(o.String()))%4 == 0 {
		o = o.With("pad", `"`+strings.Repeat("x", len(o.String())%3+1)+`"`)
	}
	return o
}

func (e *edge) spellings() []hostile {
	token := e.genuine()
	for !strings.ContainsAny(token[strings.LastIndexByte(token, '.'):], "-_") {
		token = e.genuine() // ECDSA signatures differ each time; most have such a letter
	}
	signed := func(input string) string {
		return input + "." + keystest.Encode(keystest.SignRaw(keystest.ES256, input))
	}
	signedLoose, signature := cut(token)
	header, claims := loose(e.header), loose(e.claims)
	head, body := keystest.Encode(header.String()), keystest.Encode(claims.String())
	standard := base64.StdEncoding.EncodeToString(signature)
	return []hostile{
		fine("with members to spare", signed(head+"."+body)),
		bad("stray bits in the header, signed so", signed(stray(head)+"."+body)),
		bad("stray bits in the payload, signed so", signed(head+"."+stray(body))),
		bad("stray bits in the signature", signedLoose+"."+stray(keystest.Encode(signature))),
		bad("padding", token+"=="),
		bad("one sign of padding", token+"="),
		bad("padding in the header, signed so", signed(head+strings.Repeat("=", 4-len(head)%4)+"."+body)),
		bad("padding in the payload, signed so", signed(head+"."+body+strings.Repeat("=", 4-len(body)%4))),
		bad("the standard alphabet", signedLoose+"."+strings.TrimRight(standard, "=")),
		bad("the standard alphabet, padded", signedLoose+"."+standard),
		bad("tab inside", token[:20]+"\t"+token[20:]),
		bad("space inside", token[:20]+" "+token[20:]),
		bad("space at a dot", strings.Replace(token, ".", ". ", 1)),
		bad("dots percent-encoded", strings.ReplaceAll(token, ".", "%2E")),
		bad("letters percent-encoded", "%65"+token[1:]),
		bad("a byte order mark", "\ufeff"+token),
		bad("a soft hyphen", token[:20]+"\u00ad"+token[20:]),
		bad("full-width dots", strings.ReplaceAll(token, ".", "．")),
		bad("octet 0xFF", token+"\xff"),
		bad("in capitals", strings.ToUpper(token)),
		bad("in small letters", strings.ToLower(token)),
		bad("in quotes", `"`+token+`"`),
		bad("with its scheme", "Bearer "+token),
		bad("with its scheme, no space", "Bearer:"+token),
		bad("as a list of one", token+","),
		bad("as an element of JSON", `["`+token+`"]`),
		bad("encoded once more", keystest.Encode(token)),
		bad("reversed", reversed(token)),
	}
}

func reversed(text string) string {
	octets := []byte(text)
	for i, j := 0, len(octets)-1; i < j; i, j = i+1, j-1 {
		octets[i], octets[j] = octets[j], octets[i]
	}
	return string(octets)
}

func (e *edge) headers(t *testing.T) []hostile {
	theirs, err := keystest.Set(keystest.ES256Other).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	jwk := string(theirs[len(`{"keys":[`) : len(theirs)-2])
	// offer is signed by a stranger, under our kid or none, and brings what would verify it.
	offer := func(name, value string) string {
		return keystest.Forge(keystest.ES256Other, e.header.With(name, value).String(), e.claims.String())
	}
	raw := func(header string) string { return keystest.Forge(keystest.ES256, header, e.claims.String()) }
	text := e.header.String()
	rows := []hostile{
		fine("an unknown member", e.withHeader("x", `{"y":[1]}`)),
		fine("our own signature and a jku that nobody follows", e.withHeader("jku", `"http://127.0.0.1:1/jwks"`)),
		bad("alg twice", e.forge(e.header.Twice("alg", `"ES256"`), e.claims)),
		bad("alg twice, none first", e.forge(e.header.With("alg", `"none"`).Twice("alg", `"ES256"`), e.claims)),
		bad("kid twice", e.forge(e.header.Twice("kid", e.header[1].Value), e.claims)),
		bad("typ twice", e.forge(e.header.Twice("typ", `"JWT"`), e.claims)),
		bad("an unknown member twice", e.forge(e.header.Twice("x", "1").Twice("x", "1"), e.claims)),
		bad("alg with an escape", e.forge(e.header.Without("alg").With(`\u0061lg`, `"ES256"`), e.claims)),
		bad("alg again with an escape", e.forge(e.header.With(`\u0061lg`, `"none"`), e.claims)),
		bad("ALG", e.forge(e.header.Without("alg").With("ALG", `"ES256"`), e.claims)),
		bad("trailing letter", raw(text+"x")),
		bad("trailing object", raw(text+"{}")),
		bad("trailing NUL", raw(text+"\x00")),
		bad("trailing line break", raw(text+"\n")),
		bad("space before", raw(" "+text)),
		bad("byte order mark", raw("\ufeff"+text)),
		bad("an array", raw("["+text+"]")),
		bad("a string", raw(`"x"`)),
		bad("null", raw("null")),
		bad("empty", raw("")),
		bad("invalid UTF-8", e.withHeader("x", "\"\xff\"")),
		bad("lone surrogate", e.withHeader("x", `"\ud800"`)),
		bad("crit unknown", e.forge(e.header.With("crit", `["x"]`).With("x", "1"), e.claims)),
		bad("crit empty", e.withHeader("crit", "[]")),
		bad("crit of a known name", e.withHeader("crit", `["alg"]`)),
		bad("crit null", e.withHeader("crit", "null")),
		bad("b64 false", e.withHeader("b64", "false")),
		bad("b64 false and critical", e.forge(e.header.With("crit", `["b64"]`).With("b64", "false"), e.claims)),
		bad(`b64 "false"`, e.withHeader("b64", `"false"`)),
		bad("b64 true", e.withHeader("b64", "true")),
		bad("zip", e.withHeader("zip", `"DEF"`)),
		bad("jku of the attacker", offer("jku", `"https://evil.example.com/jwks.json"`)),
		bad("x5u of the attacker", offer("x5u", `"https://evil.example.com/cert.pem"`)),
		bad("jwk of the attacker", offer("jwk", jwk)),
		bad("x5c of the attacker", offer("x5c", `["MIIB"]`)),
		bad("jwk of the attacker and no kid",
			keystest.Forge(keystest.ES256Other, e.header.Without("kid").With("jwk", jwk).String(), e.claims.String())),
		bad("deep, but within 8 KiB", e.withHeader("x", strings.Repeat("[", 2500)+strings.Repeat("]", 2499))),
		bad("depth 10,000", e.withHeader("x", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000))),
	}
	return rows
}

func (e *edge) kids() []hostile {
	kid := func(raw string) string { return e.withHeader("kid", raw) }
	return []hostile{
		bad("missing", e.forge(e.header.Without("kid"), e.claims)),
		bad("empty", kid(`""`)),
		bad("null", kid("null")),
		bad("a number", kid("7")),
		bad("an array", kid("["+e.header[1].Value+"]")),
		bad("257 octets", kid(`"`+strings.Repeat("k", 257)+`"`)),
		bad("10 KB", kid(`"`+strings.Repeat("k", 10_000)+`"`)),
		bad("unknown", kid(`"another-unknown-key"`)),
		bad("a path", kid(`"../../../../dev/null"`)),
		bad("SQL", kid(`"x' UNION SELECT 'c2VjcmV0'; --"`)),
		bad("a command", kid(`"$(touch /tmp/x)|id"`)),
		bad("NUL", kid(strings.TrimSuffix(e.header[1].Value, `"`)+`\u0000"`)),
		bad("a line break for the log", kid(`"x\r\nlevel=INFO msg=\"let through\""`)),
		bad("a URL", kid(`"https://evil.example.com/jwks.json"`)),
		bad("ours in small letters", kid(strings.ToLower(e.header[1].Value))),
		bad("ours with a space", kid(strings.TrimSuffix(e.header[1].Value, `"`)+` "`)),
		bad("of a key that is retired and removed", keystest.AccessToken(keystest.ES256Other, e.claims)),
		bad("of a key that never was", keystest.AccessToken(keystest.RS256Other, e.claims)),
	}
}
