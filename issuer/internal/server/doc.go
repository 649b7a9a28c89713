// Package server is the issuer's HTTP: the token endpoint and the well-known documents for everyone, health for the
// operator. It turns requests into calls of package oauth, and errors into statuses, in one table.
package server
