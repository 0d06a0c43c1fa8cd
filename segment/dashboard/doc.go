// Package dashboard shows what a ledger knows, as pages for a browser and as one
// HTML file: which segments are affected, the gravest first; one incident with its
// members; one segment with its sizes and the band that they allow; the reruns and
// how far they are; the log.
//
//	mux.Handle("/segments/", dashboard.Handler(ledger, dashboard.Config{}))
//
// The handler works below any prefix, with or without http.StripPrefix: the page is
// what stands after the last slash, and all links are relative. It answers GET and
// HEAD, changes nothing, and needs no script: each page shows the commands to copy.
// It asks nobody who they are. Mount it where only those reach it who may know the
// names and sizes of all segments.
//
// # Errors
//
// A page is made whole before the first byte is sent. Where the ledger returns an
// error meanwhile, also in the middle of a listing, there is a page that says so,
// with status 503 where waiting or setting up the ledger helps, and else 500. A
// segment that is damaged is shown as such, among the gravest.
//
// # Hostile names
//
// Names and texts are escaped for HTML, and characters that do not print, among them
// those that turn the direction of text, are shown as Go writes them in strings. In
// commands they are quoted for sh, bash and zsh. Links are shown as links only where they begin with http: or https:.
package dashboard
