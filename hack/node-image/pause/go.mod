module github.com/segtest/segtest/hack/node-image/pause

go 1.26.0
