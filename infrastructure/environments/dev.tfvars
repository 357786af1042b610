region          = "us-east-1"
bedrock_model   = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
anthropic_model = "claude-haiku-4-5"
log_level       = "debug"

# Short, so that a deployment is quick to watch.
min_termination_seconds = 30
max_termination_seconds = 45
request_timeout_seconds = 40
