package clients

// Parse is what [ReadFile] does with a file's text.
var Parse = parse

// Nobody is what a secret is compared with when there is no client, for a test that makes the comparison match.
func Nobody() *Secret { return &nobody[0] }
