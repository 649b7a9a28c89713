package keystest

import (
	"strconv"
	"strings"
	"time"
)

// Audience is the resource server that [AccessClaims] are for, unless a test says otherwise.
const Audience = "https://orders.example.com"

// Object is a JSON object as it will be spelled: names in order, values in raw JSON. A test changes one member and
// leaves the rest genuine. Its methods return changed copies.
type Object []Member

// Member is one member of an [Object]: a plain name and the JSON text of its value.
type Member struct{ Name, Value string }

// AccessHeader is the header of a genuine access token by the named key.
func AccessHeader(name string) Object {
	key := Key(name)
	return Object{{"alg", strconv.Quote(string(key.Algorithm()))}, {"kid", strconv.Quote(key.ID())}, {"typ", `"at+jwt"`}}
}

// AccessClaims are the claims of a genuine access token: issued now, good for ten minutes.
func AccessClaims(issuer, audience string, now time.Time) Object {
	return Object{
		{"iss", strconv.Quote(issuer)},
		{"sub", `"billing"`},
		{"aud", strconv.Quote(audience)},
		{"exp", strconv.FormatInt(now.Add(10*time.Minute).Unix(), 10)},
		{"iat", strconv.FormatInt(now.Unix(), 10)},
		{"jti", `"0uzpxe1xRkmWLK4qCFBXXQ"`},
		{"client_id", `"billing"`},
		{"scope", `"orders:read orders:write"`},
	}
}

// With gives the member name the value, at the end when there is no such member.
func (o Object) With(name, value string) Object {
	changed := append(Object(nil), o...)
	for i := range changed {
		if changed[i].Name == name {
			changed[i].Value = value
			return changed
		}
	}
	return append(changed, Member{name, value})
}

// Twice adds a member behind the others, whether or not one has the name already.
func (o Object) Twice(name, value string) Object {
	return append(append(Object(nil), o...), Member{name, value})
}

// Without leaves the member out.
func (o Object) Without(name string) Object {
	var left Object
	for _, m := range o {
		if m.Name != name {
			left = append(left, m)
		}
	}
	return left
}

// String is the JSON text. Names are not escaped, so that a test can spell them as it likes.
func (o Object) String() string {
	members := make([]string, len(o))
	for i, m := range o {
		members[i] = `"` + m.Name + `":` + m.Value
	}
	return "{" + strings.Join(members, ",") + "}"
}

// AccessToken is a token with these claims and the genuine header, signed by the named key.
func AccessToken(name string, claims Object) string {
	return Forge(name, AccessHeader(name).String(), claims.String())
}
