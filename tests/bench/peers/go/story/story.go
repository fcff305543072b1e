// Package story has what the peers in Go ask of a story that they are given, whatever they keep it with.
package story

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "entresol.dev/bench/peers/go/storiespb"
)

const batchSizeMax = 1000

// writable has the fields that a caller may change, by column, each with its value.
var writable = map[string]func(*pb.Story) any{
	"title":         func(story *pb.Story) any { return story.Title },
	"url":           func(story *pb.Story) any { return story.Url },
	"text":          func(story *pb.Story) any { return story.Text },
	"score":         func(story *pb.Story) any { return story.Score },
	"comment_count": func(story *pb.Story) any { return story.CommentCount },
	"kind":          func(story *pb.Story) any { return int32(story.Kind) },
	"tags":          func(story *pb.Story) any { return notNil(story.Tags) },
	"annotations":   func(story *pb.Story) any { return annotationsOf(story) },
	"post_time":     func(story *pb.Story) any { return timeOf(story.PostTime) },
}

func notNil(tags []string) []string {
	if tags == nil {
		return []string{}
	}
	return tags
}

func annotationsOf(story *pb.Story) map[string]string {
	if story.Annotations == nil {
		return map[string]string{}
	}
	return story.Annotations
}

func timeOf(stamp *timestamppb.Timestamp) pgtype.Timestamptz {
	if stamp == nil {
		return pgtype.Timestamptz{}
	}
	return pgtype.Timestamptz{Time: stamp.AsTime(), Valid: true}
}

// Update returns the statement that sets these fields, answering with `columns`, and its arguments.
func Update(story *pb.Story, fields []string, columns string) (string, []any) {
	var statement strings.Builder
	statement.WriteString("UPDATE stories SET ")
	arguments := []any{story.Name, strings.Trim(story.Etag, `"`)}
	for _, field := range fields {
		arguments = append(arguments, writable[field](story))
		statement.WriteString(field + " = $" + strconv.Itoa(len(arguments)) + ", ")
	}
	statement.WriteString("update_time = now(), version = version + 1" +
		" WHERE name = $1 AND ($2 = '' OR $2 = lpad(to_hex(version), 16, '0')) RETURNING " + columns)
	return statement.String(), arguments
}

// Missing returns the error of a name that there is not, or that has changed since an etag was given.
func Missing(name, etag string) error {
	if etag != "" {
		return status.Errorf(codes.Aborted, "%s does not exist or has changed", name)
	}
	return status.Errorf(codes.NotFound, "%s does not exist", name)
}

// CheckName refuses what names no story.
func CheckName(name string) error {
	if !strings.HasPrefix(name, "stories/") {
		return status.Error(codes.InvalidArgument, "name: must be stories/{story}")
	}
	return nil
}

// CheckNames refuses none, too many, and what names no story.
func CheckNames(names []string) error {
	if len(names) == 0 || len(names) > batchSizeMax {
		return status.Errorf(codes.InvalidArgument, "names: must be 1 to %d", batchSizeMax)
	}
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

// CheckUpdate refuses fields that cannot be changed, and values that do not fit them.
func CheckUpdate(story *pb.Story, fields []string) error {
	if story == nil || len(fields) == 0 {
		return status.Error(codes.InvalidArgument, "story and update_mask: must be given")
	}
	for _, field := range fields {
		if writable[field] == nil {
			return status.Errorf(codes.InvalidArgument, "update_mask: %s cannot be changed", field)
		}
		if field == "title" && story.Title == "" {
			return status.Error(codes.InvalidArgument, "title: must not be empty")
		}
		if isOutOfBounds(story, field) {
			return status.Errorf(codes.InvalidArgument, "%s: too long, or one of it empty", field)
		}
	}
	return nil
}

func isOutOfBounds(story *pb.Story, field string) bool {
	switch field {
	case "title":
		return utf8.RuneCountInString(story.Title) > 300
	case "url":
		return utf8.RuneCountInString(story.Url) > 4096
	case "text":
		return utf8.RuneCountInString(story.Text) > 65536
	case "tags":
		return len(story.Tags) > 100 || slices.ContainsFunc(story.Tags, func(tag string) bool {
			return tag == "" || utf8.RuneCountInString(tag) > 63
		})
	}
	return false
}
