package main

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/zeromicro/go-zero/core/jsonx"
	"github.com/zeromicro/go-zero/core/stores/builder"
	"github.com/zeromicro/go-zero/core/stores/cache"
	"github.com/zeromicro/go-zero/core/stores/redis"
	"github.com/zeromicro/go-zero/core/stores/sqlc"
	"github.com/zeromicro/go-zero/core/stores/sqlx"

	pb "entresol.dev/bench/peers/go/storiespb"
	"entresol.dev/bench/peers/go/story"
)

var (
	storiesRows = strings.Join(builder.RawFieldNames(&Stories{}, true), ",")
	findOne     = "select " + storiesRows + " from stories where name = $1 limit 1"
	findAll     = "select " + storiesRows + " from stories where name = any($1)"
)

type (
	// Stories is a row as goctl declares it: what may be null, and lists, in the types that it has for them.
	Stories struct {
		Name         string         `db:"name"`
		Uid          string         `db:"uid"`
		Title        string         `db:"title"`
		Url          string         `db:"url"`
		Text         string         `db:"text"`
		Author       string         `db:"author"`
		Score        int64          `db:"score"`
		CommentCount int64          `db:"comment_count"`
		Kind         int64          `db:"kind"`
		Tags         pq.StringArray `db:"tags"`
		Annotations  string         `db:"annotations"`
		PostTime     sql.NullTime   `db:"post_time"`
		CreateTime   time.Time      `db:"create_time"`
		UpdateTime   time.Time      `db:"update_time"`
		DeleteTime   sql.NullTime   `db:"delete_time"`
		PurgeTime    sql.NullTime   `db:"purge_time"`
		Version      int64          `db:"version"`
	}

	// storiesModel is a model with a cache: FindOne as goctl writes it, the others as its users add to it.
	storiesModel struct {
		sqlc.CachedConn
		read   sqlx.SqlConn
		redis  *redis.Redis // nil: there is no cache
		prefix string
	}

	// uncached is the cache of a service that has none.
	uncached struct{ cache.Cache }
)

func (uncached) TakeCtx(_ context.Context, row any, _ string, query func(row any) error) error {
	return query(row)
}

func (uncached) DelCtx(context.Context, ...string) error { return nil }

func (m *storiesModel) keyOf(name string) string { return m.prefix + name }

// FindOne returns a row by the cache, else by a replica: one query for all who ask for it at the time.
func (m *storiesModel) FindOne(ctx context.Context, name string) (*Stories, error) {
	var row Stories
	err := m.QueryRowCtx(ctx, &row, m.keyOf(name), func(ctx context.Context, _ sqlx.SqlConn, v any) error {
		return m.read.QueryRowCtx(ctx, v, findOne, name)
	})
	if errors.Is(err, sqlc.ErrNotFound) {
		return nil, story.Missing(name, "")
	}
	return &row, err
}

// FindAll returns rows by their names: a cached connection finds one at a time, so this asks Redis for all at once.
func (m *storiesModel) FindAll(ctx context.Context, names []string) (map[string]*Stories, error) {
	found, missing := make(map[string]*Stories, len(names)), names
	if m.redis != nil {
		keys := make([]string, len(names))
		for number, name := range names {
			keys[number] = m.keyOf(name)
		}
		values, err := m.redis.MgetCtx(ctx, keys...)
		if err != nil {
			return nil, err
		}
		missing = nil
		for number, value := range values {
			row := &Stories{}
			if jsonx.UnmarshalFromString(value, row) == nil {
				found[names[number]] = row
			} else { // nothing, or what go-zero keeps of a name that there is not
				missing = append(missing, names[number])
			}
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	var rows []*Stories
	if err := m.read.QueryRowsCtx(ctx, &rows, findAll, missing); err != nil {
		return nil, err
	}
	for _, row := range rows {
		found[row.Name] = row
		if m.redis != nil {
			if err := m.SetCacheCtx(ctx, m.keyOf(row.Name), row); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// UpdateFields sets fields and returns the row; the entry is deleted behind it, as behind the Update that goctl writes.
func (m *storiesModel) UpdateFields(ctx context.Context, changed *pb.Story, fields []string) (*Stories, error) {
	var row Stories
	statement, arguments := story.Update(changed, fields, storiesRows)
	_, err := m.ExecCtx(ctx, func(ctx context.Context, conn sqlx.SqlConn) (sql.Result, error) {
		return nil, conn.QueryRowCtx(ctx, &row, statement, arguments...)
	}, m.keyOf(changed.Name))
	if errors.Is(err, sqlc.ErrNotFound) {
		return nil, story.Missing(changed.Name, changed.Etag)
	}
	return &row, err
}
