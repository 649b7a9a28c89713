package server

// JWKSHandler is jwksHandler, for its benchmark.
var JWKSHandler = jwksHandler
