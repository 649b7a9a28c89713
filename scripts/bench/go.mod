module example.com/signet/scripts/bench

go 1.26.0
