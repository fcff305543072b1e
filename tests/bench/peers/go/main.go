// The handwritten peer in Go: the stories service as a careful team writes it on grpc-go, pgx and go-redis.
//
// Pools to the primary and to a replica, cache-aside with a time to live, the entry deleted after every update, and
// a dead Redis that only makes reads slower. Like the other peers it is not coherent: a reader may put an older row
// into the cache just after the entry was deleted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "entresol.dev/bench/peers/go/storiespb"
	"entresol.dev/bench/peers/go/story"
)

const (
	ttl         = 300 * time.Second
	poolSize    = 8
	cachePool   = 32
	stopTimeout = 5 * time.Second
	// The live heap is a few megabytes: without this the collector would run every few thousand calls.
	gcPercent = 400

	columns = "name, uid, title, url, text, author, score, comment_count, kind, tags, annotations, " +
		"post_time, create_time, update_time, delete_time, purge_time, version"
	getStory        = "SELECT " + columns + " FROM stories WHERE name = $1"
	batchGetStories = "SELECT " + columns + " FROM stories WHERE name = ANY($1)"
)

func stampOf(value pgtype.Timestamptz) *timestamppb.Timestamp {
	if !value.Valid {
		return nil
	}
	return timestamppb.New(value.Time)
}

func storyOf(row pgx.Row) (*pb.Story, error) {
	story := &pb.Story{}
	var kind int32
	var version int64
	var posted, created, updated, deleted, purged pgtype.Timestamptz
	if err := row.Scan(
		&story.Name, &story.Uid, &story.Title, &story.Url, &story.Text, &story.Author, &story.Score,
		&story.CommentCount, &kind, &story.Tags, &story.Annotations,
		&posted, &created, &updated, &deleted, &purged, &version,
	); err != nil {
		return nil, err
	}
	story.Kind = pb.Story_Kind(kind)
	story.PostTime = stampOf(posted)
	story.CreateTime = stampOf(created)
	story.UpdateTime = stampOf(updated)
	story.DeleteTime = stampOf(deleted)
	story.PurgeTime = stampOf(purged)
	story.Etag = fmt.Sprintf(`"%016x"`, version)
	return story, nil
}

// storyCache is cache-aside over Redis: every failure is a miss. Without a client it holds nothing.
type storyCache struct {
	client *redis.Client
	prefix string
}

func (cache storyCache) keyOf(name string) string { return cache.prefix + ":" + name }

func lifetime() time.Duration { return ttl - rand.N(ttl/10).Truncate(time.Second) }

func parsed(value []byte) *pb.Story {
	story := &pb.Story{}
	if err := proto.Unmarshal(value, story); err != nil {
		slog.Warn("cache entry", "error", err)
		return nil
	}
	return story
}

func (cache storyCache) get(ctx context.Context, name string) *pb.Story {
	if cache.client == nil {
		return nil
	}
	value, err := cache.client.Get(ctx, cache.keyOf(name)).Bytes()
	if err != nil {
		if !errors.Is(err, redis.Nil) {
			slog.Warn("cache get", "error", err)
		}
		return nil
	}
	return parsed(value)
}

// getAll returns one story for each name, nil where the cache has none.
func (cache storyCache) getAll(ctx context.Context, names []string) []*pb.Story {
	stories := make([]*pb.Story, len(names))
	if cache.client == nil {
		return stories
	}
	keys := make([]string, len(names))
	for number, name := range names {
		keys[number] = cache.keyOf(name)
	}
	values, err := cache.client.MGet(ctx, keys...).Result()
	if err != nil {
		slog.Warn("cache get", "error", err)
		return stories
	}
	for number, value := range values {
		if text, found := value.(string); found {
			stories[number] = parsed([]byte(text))
		}
	}
	return stories
}

func (cache storyCache) set(ctx context.Context, stories ...*pb.Story) {
	if cache.client == nil || len(stories) == 0 {
		return
	}
	_, err := cache.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, story := range stories {
			value, err := proto.Marshal(story)
			if err != nil {
				return err
			}
			pipe.Set(ctx, cache.keyOf(story.Name), value, lifetime())
		}
		return nil
	})
	if err != nil {
		slog.Warn("cache set", "error", err)
	}
}

func (cache storyCache) delete(ctx context.Context, name string) {
	if cache.client == nil {
		return
	}
	if err := cache.client.Del(ctx, cache.keyOf(name)).Err(); err != nil {
		slog.Warn("cache delete", "error", err)
	}
}

// storyService has the methods that the benchmark calls.
type storyService struct {
	pb.UnimplementedStoryServiceServer
	write *pgxpool.Pool
	read  *pgxpool.Pool
	cache storyCache
}

func (service *storyService) GetStory(ctx context.Context, request *pb.GetStoryRequest) (*pb.Story, error) {
	if err := story.CheckName(request.Name); err != nil {
		return nil, err
	}
	if cached := service.cache.get(ctx, request.Name); cached != nil {
		return cached, nil
	}
	found, err := storyOf(service.read.QueryRow(ctx, getStory, request.Name))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, story.Missing(request.Name, "")
	}
	if err != nil {
		return nil, failed("get", err)
	}
	service.cache.set(ctx, found)
	return found, nil
}

func (service *storyService) BatchGetStories(
	ctx context.Context, request *pb.BatchGetStoriesRequest,
) (*pb.BatchGetStoriesResponse, error) {
	if err := story.CheckNames(request.Names); err != nil {
		return nil, err
	}
	stories := service.cache.getAll(ctx, request.Names)
	var missing []string
	for number, story := range stories {
		if story == nil {
			missing = append(missing, request.Names[number])
		}
	}
	if len(missing) > 0 {
		found, err := service.fetchAll(ctx, missing)
		if err != nil {
			return nil, err
		}
		for number, name := range request.Names {
			if stories[number] == nil {
				stories[number] = found[name]
			}
			if stories[number] == nil {
				return nil, story.Missing(name, "")
			}
		}
	}
	return &pb.BatchGetStoriesResponse{Stories: stories}, nil
}

func (service *storyService) fetchAll(ctx context.Context, names []string) (map[string]*pb.Story, error) {
	rows, err := service.read.Query(ctx, batchGetStories, names)
	if err != nil {
		return nil, failed("batch get", err)
	}
	stories, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*pb.Story, error) { return storyOf(row) })
	if err != nil {
		return nil, failed("batch get", err)
	}
	service.cache.set(ctx, stories...)
	found := make(map[string]*pb.Story, len(stories))
	for _, story := range stories {
		found[story.Name] = story
	}
	return found, nil
}

func (service *storyService) UpdateStory(ctx context.Context, request *pb.UpdateStoryRequest) (*pb.Story, error) {
	changed, fields := request.GetStory(), request.GetUpdateMask().GetPaths()
	if err := story.CheckUpdate(changed, fields); err != nil {
		return nil, err
	}
	statement, arguments := story.Update(changed, fields, columns)
	updated, err := storyOf(service.write.QueryRow(ctx, statement, arguments...))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, story.Missing(changed.Name, changed.Etag)
	}
	if err != nil {
		return nil, failed("update", err)
	}
	service.cache.delete(ctx, changed.Name)
	return updated, nil
}

func failed(what string, err error) error {
	slog.Error(what, "error", err)
	return status.Error(codes.Internal, "the database failed")
}

func openPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	config.MinConns = poolSize
	config.ConnConfig.RuntimeParams["statement_timeout"] = "30s"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return pool, pool.Ping(ctx)
}

func openCache(url, prefix string) (storyCache, error) {
	if url == "" {
		return storyCache{}, nil
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return storyCache{}, err
	}
	options.PoolSize = cachePool
	options.PoolTimeout = time.Second
	options.DialTimeout = 250 * time.Millisecond
	options.ReadTimeout = 250 * time.Millisecond
	options.WriteTimeout = 250 * time.Millisecond
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return storyCache{redis.NewClient(options), prefix}, nil
}

func serve(ctx context.Context, listen, databaseWrite, databaseRead, cacheURL string) error {
	write, err := openPool(ctx, databaseWrite)
	if err != nil {
		return err
	}
	defer write.Close()
	read, err := openPool(ctx, databaseRead)
	if err != nil {
		return err
	}
	defer read.Close()
	// Peers that share a Redis each keep something else of a story in it: the key begins with the database's name.
	cache, err := openCache(cacheURL, write.Config().ConnConfig.Database)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))))
	pb.RegisterStoryServiceServer(server, &storyService{write: write, read: read, cache: cache})
	go func() {
		<-ctx.Done()
		time.AfterFunc(stopTimeout, server.Stop)
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

func main() {
	listen := flag.String("listen", "", "address and port")
	databaseWrite := flag.String("database-write", "", "URL of the primary")
	databaseRead := flag.String("database-read", "", "URL of a replica")
	cacheURL := flag.String("cache", "", "URL of Redis; empty: none")
	flag.Parse()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, *listen, *databaseWrite, *databaseRead, *cacheURL); err != nil {
		slog.Error("serve", "error", err)
		os.Exit(1)
	}
}
