region          = "us-east-1"
bedrock_model   = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
anthropic_model = "claude-sonnet-4-5"

guardrail = {
  identifier = "k7f2m9x4q1tz"
  version    = "4"
}

enable_prompt_caching = true
eviction_failures     = 3
