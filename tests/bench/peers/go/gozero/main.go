// The peer on go-zero: the stories service of a team that takes this framework's zrpc and its cached models.
//
// A model keeps JSON in Redis with a time to live, reads what is missing once for all who ask at the time, and deletes
// the entry after every update; the connections are those of the peer on grpc-go. Where Redis is dead go-zero refuses
// reads, to protect the database.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/zeromicro/go-zero/core/conf"
	"github.com/zeromicro/go-zero/core/jsonx"
	"github.com/zeromicro/go-zero/core/load"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/stat"
	"github.com/zeromicro/go-zero/core/stores/cache"
	"github.com/zeromicro/go-zero/core/stores/postgres"
	"github.com/zeromicro/go-zero/core/stores/redis"
	"github.com/zeromicro/go-zero/core/stores/sqlc"
	"github.com/zeromicro/go-zero/core/stores/sqlx"
	"github.com/zeromicro/go-zero/zrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "entresol.dev/bench/peers/go/storiespb"
	"entresol.dev/bench/peers/go/story"
)

const (
	ttl       = 300 * time.Second
	poolSize  = 8
	gcPercent = 400 // as the peer on grpc-go
)

// storyService has the methods that the benchmark calls.
type storyService struct {
	pb.UnimplementedStoryServiceServer
	model *storiesModel
}

func (service *storyService) GetStory(ctx context.Context, request *pb.GetStoryRequest) (*pb.Story, error) {
	if err := story.CheckName(request.Name); err != nil {
		return nil, err
	}
	return answer(service.model.FindOne(ctx, request.Name))
}

func (service *storyService) BatchGetStories(
	ctx context.Context, request *pb.BatchGetStoriesRequest,
) (*pb.BatchGetStoriesResponse, error) {
	if err := story.CheckNames(request.Names); err != nil {
		return nil, err
	}
	rows, err := service.model.FindAll(ctx, request.Names)
	if err != nil {
		return nil, failed(err)
	}
	response := &pb.BatchGetStoriesResponse{Stories: make([]*pb.Story, len(request.Names))}
	for number, name := range request.Names {
		if rows[name] == nil {
			return nil, story.Missing(name, "")
		}
		if response.Stories[number], err = answer(rows[name], nil); err != nil {
			return nil, err
		}
	}
	return response, nil
}

func (service *storyService) UpdateStory(ctx context.Context, request *pb.UpdateStoryRequest) (*pb.Story, error) {
	changed, fields := request.GetStory(), request.GetUpdateMask().GetPaths()
	if err := story.CheckUpdate(changed, fields); err != nil {
		return nil, err
	}
	return answer(service.model.UpdateFields(ctx, changed, fields))
}

func answer(row *Stories, err error) (*pb.Story, error) {
	if err != nil {
		return nil, failed(err)
	}
	found := &pb.Story{
		Name: row.Name, Uid: row.Uid, Title: row.Title, Url: row.Url, Text: row.Text, Author: row.Author,
		Score: int32(row.Score), CommentCount: int32(row.CommentCount), Kind: pb.Story_Kind(row.Kind), Tags: row.Tags,
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
		Etag: fmt.Sprintf(`"%016x"`, row.Version),
	}
	if row.PostTime.Valid {
		found.PostTime = timestamppb.New(row.PostTime.Time)
	}
	if row.DeleteTime.Valid {
		found.DeleteTime = timestamppb.New(row.DeleteTime.Time)
	}
	if row.PurgeTime.Valid {
		found.PurgeTime = timestamppb.New(row.PurgeTime.Time)
	}
	if row.Annotations != "{}" {
		if err := jsonx.UnmarshalFromString(row.Annotations, &found.Annotations); err != nil {
			return nil, failed(err)
		}
	}
	return found, nil
}

// failed returns the error that a caller sees: that of a missing story as it is, of all others nothing but that.
func failed(err error) error {
	if _, isStatus := status.FromError(err); isStatus {
		return err
	}
	return status.Error(codes.Internal, "the stores failed")
}

// openPool connects with as many connections as other peers do; go-zero's own number cannot be configured otherwise.
func openPool(source string) (sqlx.SqlConn, error) {
	conn := postgres.New(source)
	pool, err := conn.RawDB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	pool.SetConnMaxLifetime(0)
	return conn, nil
}

func openModel(databaseWrite, databaseRead, cacheURL string) (*storiesModel, error) {
	write, err := openPool(databaseWrite)
	if err != nil {
		return nil, err
	}
	read, err := openPool(databaseRead)
	if err != nil {
		return nil, err
	}
	if cacheURL == "" {
		return &storiesModel{CachedConn: sqlc.NewConnWithCache(write, uncached{}), read: read}, nil
	}
	node, err := nodeOf(cacheURL)
	if err != nil {
		return nil, err
	}
	client, err := redis.NewRedis(node)
	if err != nil {
		return nil, err
	}
	cached := sqlc.NewConn(write, cache.CacheConf{{RedisConf: node, Weight: 100}}, cache.WithExpiry(ttl))
	// Peers that share a Redis each keep something else of a story in it: the key begins with the database's name.
	database, err := url.Parse(databaseWrite)
	if err != nil {
		return nil, err
	}
	return &storiesModel{cached, read, client, "cache:" + strings.Trim(database.Path, "/") + ":stories:name:"}, nil
}

func nodeOf(cacheURL string) (redis.RedisConf, error) {
	var node redis.RedisConf
	if err := conf.FillDefault(&node); err != nil {
		return node, err
	}
	parsed, err := url.Parse(cacheURL)
	if err != nil {
		return node, err
	}
	node.Host, node.User = parsed.Host, parsed.User.Username()
	database := strings.Trim(parsed.Path, "/")
	if parsed.Scheme == "unix" {
		node.Host, database = parsed.Path, parsed.Query().Get("db")
	}
	if database != "" && database != "0" {
		return node, errors.New("go-zero knows no database of Redis but 0")
	}
	node.Pass, _ = parsed.User.Password()
	return node, nil
}

// serve answers until SIGTERM, with what the framework adds to a call: recovery and a breaker.
//
// Traces, statistics, logs and the developers' server are off. Callers bring their deadlines, so that the server has none
// of its own; and it sheds no load: a call that is refused is no answer.
func serve(listen string, model *storiesModel) error {
	var config zrpc.RpcServerConf
	if err := conf.FillDefault(&config); err != nil {
		return err
	}
	config.Name, config.ListenOn = "stories", listen
	config.Timeout, config.CpuThreshold = 0, 0
	config.DevServer.Enabled, config.Telemetry.Disabled, config.Log.Stat = false, true, false
	config.Middlewares.Trace, config.Middlewares.Stat, config.Middlewares.Prometheus = false, false, false
	server, err := zrpc.NewServer(config, func(server *grpc.Server) {
		pb.RegisterStoryServiceServer(server, &storyService{model: model})
	})
	if err != nil {
		return err
	}
	logx.Disable()
	stat.DisableLog()
	load.DisableLog()
	server.AddOptions(grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))))
	defer server.Stop()
	server.Start()
	return nil
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
	model, err := openModel(*databaseWrite, *databaseRead, *cacheURL)
	if err == nil {
		err = serve(*listen, model)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
