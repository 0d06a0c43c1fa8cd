package segment

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/segmentguard/segmentguard/validate"
)

// A ruleFile reads JSON into structs, as encoding/json does, but for this: it knows
// the line of everything, it refuses what a struct does not have, has twice or has as
// null, and durations are texts. It has no list of fields: what a struct has can be
// said.
type ruleFile struct {
	data   []byte
	tokens *json.Decoder
	places map[string]place // of the fields that one object names, by their Go names
}

type place struct {
	line int
	name string // in JSON
}

func newRuleFile(data []byte) *ruleFile {
	f := &ruleFile{data: data, tokens: json.NewDecoder(bytes.NewReader(data)), places: map[string]place{}}
	f.tokens.UseNumber()
	return f
}

func reflectOf(pointer any) reflect.Value { return reflect.ValueOf(pointer).Elem() }

// line returns the line of the last token.
func (f *ruleFile) line() int { return f.lineAt(f.tokens.InputOffset()) }

func (f *ruleFile) lineAt(offset int64) int { return 1 + bytes.Count(f.data[:offset], []byte("\n")) }

func (f *ruleFile) next() (json.Token, error) {
	token, err := f.tokens.Token()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("line %d: %w", f.lineAt(min(syntax.Offset, int64(len(f.data)))), err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", f.line(), err)
	}
	return token, nil
}

// end returns an error unless the file ends here.
func (f *ruleFile) end() error {
	if _, err := f.tokens.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: the file goes on after the array", f.line())
	}
	return nil
}

func (f *ruleFile) wrong(name string, value any, want string) error {
	return fmt.Errorf("line %d: %w", f.line(), badInput(name, value, want))
}

// locate says where in the file a value is that a rule must not have.
func (f *ruleFile) locate(err error, line int) error {
	bad, ok := errors.AsType[*validate.InputError](err)
	if !ok {
		return fmt.Errorf("line %d: %w", line, err)
	}
	field := strings.TrimPrefix(bad.Field, "Rule.")
	for known := field; known != ""; known = known[:max(strings.LastIndexAny(known, ".["), 0)] {
		if at, ok := f.places[known]; ok {
			line, field = at.line, at.name+snake(field[len(known):])
			break
		}
	}
	return fmt.Errorf("line %d: %w", line, badInput(field, bad.Value, bad.Want))
}

// array calls each where a value begins, for each of an array.
func (f *ruleFile) array(each func() error) error {
	token, err := f.next()
	if err == nil && token != json.Delim('[') {
		err = f.wrong("the file", said(token), "an array of rules")
	}
	for err == nil && f.tokens.More() {
		err = each()
	}
	if err == nil {
		_, err = f.next()
	}
	return err
}

// value reads what v is to hold. field is its name in Go, name that in JSON.
func (f *ruleFile) value(v reflect.Value, field, name string) error {
	token, err := f.next()
	if err != nil {
		return err
	}
	f.places[field] = place{f.line(), name}
	into, isText := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	switch text, ok := token.(string); {
	case isText && ok:
		if into.UnmarshalText([]byte(text)) == nil {
			return nil
		}
		fallthrough
	case isText:
		return f.wrong(name, said(token), "a text like "+example(v))
	case v.Kind() == reflect.Struct:
		return f.object(token, v, field, name)
	case v.Kind() == reflect.Slice:
		return f.list(token, v, field, name)
	}
	if want := scalar(token, v); want != "" {
		return f.wrong(name, said(token), want)
	}
	return nil
}

// object reads the fields of a struct.
func (f *ruleFile) object(token json.Token, v reflect.Value, field, name string) error {
	if token != json.Delim('{') {
		return f.wrong(cmp.Or(name, "a rule"), said(token), "an object")
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for f.tokens.More() {
		token, err := f.next()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		i := slices.IndexFunc(fields, func(f namedField) bool { return f.name == key })
		switch {
		case i < 0:
			return f.wrong(dotted(name, strconv.QuoteToGraphic(key)), "not known", "one of "+namesOf(fields))
		case seen[key]:
			return f.wrong(dotted(name, key), "there twice", "it once")
		}
		seen[key] = true
		if err := f.value(v.FieldByIndex(fields[i].index), dotted(field, fields[i].field), dotted(name, key)); err != nil {
			return err
		}
	}
	_, err := f.next()
	return err
}

// list reads the elements of a slice.
func (f *ruleFile) list(token json.Token, v reflect.Value, field, name string) error {
	if token != json.Delim('[') {
		return f.wrong(name, said(token), "an array")
	}
	for i := 0; f.tokens.More(); i++ {
		v.Grow(1)
		v.SetLen(i + 1)
		at := "[" + strconv.Itoa(i) + "]"
		if err := f.value(v.Index(i), field+at, name+at); err != nil {
			return err
		}
	}
	_, err := f.next()
	return err
}

// scalar puts a token into v, and returns what it should have been if it cannot.
func scalar(token json.Token, v reflect.Value) (want string) {
	text, isText := token.(string)
	number, isNumber := token.(json.Number)
	if d, ok := reflect.TypeAssert[*time.Duration](v.Addr()); ok {
		var err error
		if *d, err = time.ParseDuration(text); err != nil || !isText {
			return `a duration as a text, such as "90s" or "24h"`
		}
		return ""
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return unless(isText, "a text")
	case v.Kind() == reflect.Bool:
		yes, ok := token.(bool)
		v.SetBool(yes)
		return unless(ok, "true or false")
	case v.CanInt():
		n, err := strconv.ParseInt(number.String(), 10, v.Type().Bits())
		v.SetInt(n)
		return unless(isNumber && err == nil, "a whole number")
	case v.CanFloat():
		x, err := strconv.ParseFloat(number.String(), 64)
		v.SetFloat(x)
		return unless(isNumber && err == nil, "a number, such as 0.05")
	}
	return fmt.Sprintf("nothing: a %s cannot be said in a file", v.Type())
}

func unless(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}

// said returns a token as it is printed.
func said(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		return map[json.Delim]string{'{': "an object", '[': "an array"}[token]
	case string:
		return strconv.QuoteToGraphic(token)
	}
	return fmt.Sprint(token)
}

// example returns a text of the type, such as that of a segment.
func example(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[ID]() {
		return `"site-a/cars"`
	}
	return v.Type().String()
}

func dotted(name, field string) string {
	if name == "" {
		return field
	}
	return name + "." + field
}

// A namedField is a field of a struct, or of one that is embedded in it.
type namedField struct {
	index       []int
	field, name string
}

func fieldsOf(t reflect.Type) (all []namedField) {
	for _, field := range reflect.VisibleFields(t) {
		if field.Anonymous || !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, namedField{field.Index, field.Name, cmp.Or(name, snake(field.Name))})
	}
	return all
}

func namesOf(fields []namedField) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// snake writes "PageFrom" as "page_from".
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && name[i-1] != '.' {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
