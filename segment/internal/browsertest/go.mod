module github.com/segmentguard/segmentguard/segment/internal/browsertest

go 1.26.0

require github.com/segmentguard/segmentguard v0.1.0

require (
	github.com/chromedp/cdproto v0.160.1 // indirect
	github.com/chromedp/chromedp v0.23.1 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
)

replace github.com/segmentguard/segmentguard => ../../..
