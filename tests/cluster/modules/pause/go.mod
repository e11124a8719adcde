module cartera.test/cluster/pause

go 1.26
